import { describe, expect, test } from 'vitest'
import { type ProbeOffer, Probing } from './probing.ts'

/** A step of 10 ms and one token per sequence; each draft token costs `rowMs` and brings half a token. */
const offerOf = (keys: readonly (number | null)[], rowMs: number): ProbeOffer => {
  const evaluate = (lengths: readonly number[]) => {
    const drafted = lengths.reduce((sum, length) => sum + length, 0)
    const tokens = lengths.length + 0.5 * drafted
    const ms = 10 + rowMs * drafted
    return { lengths, tokens, ms, goodput: tokens / ms }
  }
  return { keys, evaluate, plan: evaluate(keys.map(() => 0)), trials: (_, length) => length }
}

/** Probes of `steps` steps in which nothing pays. */
function probesIn(steps: number, offer: ProbeOffer): { probes: number; lostMs: number } {
  const subject = new Probing()
  let [probes, lostMs] = [0, 0]
  for (let step = 0; step < steps; step++) {
    const probe = subject.choose(offer)
    const lengths = offer.plan.lengths.map((_, i) => (probe.indexes.includes(i) ? probe.length : 0))
    const { ms, tokens } = offer.evaluate(lengths)
    if (probe.indexes.length > 0) probes += 1
    lostMs += ms - tokens / offer.plan.goodput
    const tried = new Set(probe.indexes.flatMap((i) => offer.keys[i] ?? []))
    subject.stepped({ keys: offer.keys.filter((key) => key !== null), tried, paying: new Set(), ms })
  }
  return { probes, lostMs }
}

describe('probes', () => {
  test('lose no more than their share of the time, whatever they cost', () => {
    for (const rowMs of [1, 6, 20, 100]) {
      const { lostMs } = probesIn(2_000, offerOf([1], rowMs))
      expect(lostMs / 20_000).toBeLessThan(0.02)
    }
  })

  test('come every few steps where they cost nothing, and ever more seldom where they do', () => {
    const counts = [5, 8, 40].map((rowMs) => probesIn(1_000, offerOf([1], rowMs)).probes)
    expect(counts[0]).toBeGreaterThan(50)
    expect(counts).toEqual([...counts].sort((a, b) => b - a))
    expect(counts[2]).toBeGreaterThan(0)
  })

  test('never draft for a sequence that must not', () => {
    expect(probesIn(200, offerOf([null, null], 1)).probes).toBe(0)
  })

  test('are of all sequences together where only an even batch is one pass', () => {
    const evaluate = (lengths: readonly number[]) => {
      const drafted = lengths.reduce((sum, length) => sum + length, 0)
      const isEven = lengths.every((length) => length === lengths[0])
      const tokens = lengths.length + 0.5 * drafted
      const ms = 100 + 6 * drafted + (isEven ? 0 : 50)
      return { lengths, tokens, ms, goodput: tokens / ms }
    }
    const keys = Array.from({ length: 12 }, (_, key) => key)
    const offer = { keys, evaluate, plan: evaluate(keys.map(() => 0)), trials: () => 1 }
    const subject = new Probing()
    const step = (tried: readonly number[]) =>
      subject.stepped({ keys, tried: new Set(tried), paying: new Set(), ms: 100 })
    // One of them has come last: it alone is not known.
    for (let i = 0; i < 40; i++) step(keys.slice(1))
    expect(subject.choose(offer).indexes).toEqual(keys)
    for (let i = 0; i < 8; i++) step([])
    const again = subject.choose(offer)
    expect([again.indexes, again.length]).toEqual([keys, 1])
  })

  test('start over once drafting pays again', () => {
    const subject = new Probing()
    const offer = offerOf([1], 5)
    const step = (tried: boolean) =>
      subject.stepped({
        keys: [1],
        tried: new Set(tried ? [1] : []),
        paying: new Set(tried ? [1] : []),
        ms: 10,
      })
    for (let i = 0; i < 100; i++) {
      subject.choose(offer)
      step(false)
    }
    step(true)
    const waits: boolean[] = []
    for (let i = 0; i < 5; i++) {
      waits.push(subject.choose(offer).indexes.length > 0)
      step(false)
    }
    expect(waits).toEqual([false, false, false, false, true])
  })
})
