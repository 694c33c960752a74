import { describe, expect, test } from 'vitest'
import { curves, curveOf } from '#test/simulate/curves.ts'
import { createRandom } from '#test/simulate/random.ts'
import { Rounds, type RoundsOptions } from '#test/simulate/speculationRounds.ts'
import type { RunningSequence } from './controller.ts'
import { createController } from './createController.ts'
import { createGoodputController } from './goodput.ts'
import { chainOf } from './tokenTree.ts'

const curve = curveOf(curves.billionQ8)
const goodput = () => createGoodputController({ curve: () => curve, layout: 'split' })
const rounds = (options: Partial<RoundsOptions> = {}) =>
  new Rounds({
    controller: goodput(),
    curve,
    layout: 'split',
    sequences: 1,
    draftTokensMax: 8,
    acceptance: () => 0.8,
    random: createRandom(1),
    ...options,
  })
const plainPerSecond = (sequences: number) => rounds({ controller: fixed(), draftTokensMax: 0, sequences })
const fixed = () => createController('fixed', { curve: () => curve, layout: 'split' })

describe('drafting nothing', () => {
  test('loses at most 2% where nothing is ever accepted, whatever the load', () => {
    for (const sequences of [1, 4, 16]) {
      const subject = rounds({ sequences, acceptance: () => 0.02, draftMs: () => 0.8 })
      subject.run(100)
      const settled = subject.run(1_000)
      const plain = plainPerSecond(sequences).run(100)
      expect(settled.tokens / settled.ms / (plain.tokens / plain.ms)).toBeGreaterThan(0.98)
    }
  })

  test('means that nobody is asked, but for probes', () => {
    const subject = rounds({ acceptance: () => 0.02 })
    subject.run(100)
    subject.asked = 0
    subject.run(1_000)
    expect(subject.asked).toBeLessThan(70)
    expect(subject.asked).toBeGreaterThan(10)
  })

  test('never asks for a sequence that must not draft', () => {
    const sequence: RunningSequence = { key: 1, contextTokens: 64, tokensMax: 0, methods: ['draft'] }
    expect(goodput().asks([sequence], { promptTokens: 0, rowsMax: 64 })).toEqual([])
    expect(goodput().asks([{ ...sequence, tokensMax: 4, methods: [] }], { promptTokens: 0, rowsMax: 64 })).toEqual([])
  })
})

describe('a change', () => {
  /** Steps until five in a row choose a length of the right side. */
  function stepsUntil(before: number, after: number, isRight: (length: number) => boolean): number[] {
    return Array.from({ length: 11 }, (_, seed) => {
      const changeAt = 300
      const subject = rounds({
        acceptance: ({ step }) => (step < changeAt ? before : after),
        random: createRandom(seed),
      })
      subject.run(changeAt)
      for (let steps = 0, right = 0; ; steps++) {
        subject.run(1)
        right = isRight(subject.lengths[0] ?? 0) ? right + 1 : 0
        if (right === 5 || steps === 200) return steps - 4
      }
    }).sort((a, b) => a - b)
  }

  test('from 0.9 to 0.5 is followed within 20 steps', () => {
    const steps = stepsUntil(0.9, 0.5, (length) => length <= 5)
    expect(steps[5]).toBeLessThanOrEqual(20)
    expect(steps[8]).toBeLessThanOrEqual(30)
  })

  test('from 0.5 to 0.9 is followed within 20 steps', () => {
    const steps = stepsUntil(0.5, 0.9, (length) => length >= 6)
    expect(steps[5]).toBeLessThanOrEqual(20)
    expect(steps[8]).toBeLessThanOrEqual(30)
  })

  /** Settings and load of a run, to be changed while it goes on. */
  function live(settings: { sequences: number; draftTokensMax: number }): Rounds {
    return new Rounds({
      controller: goodput(),
      curve,
      layout: 'split',
      acceptance: () => 0.9,
      random: createRandom(1),
      get sequences() {
        return settings.sequences
      },
      get draftTokensMax() {
        return settings.draftTokensMax
      },
    })
  }
  const longest = (subject: Rounds) => Math.max(...subject.lengths)

  test('of what may be drafted is followed at the next step where it is less, and within 20 where it is more', () => {
    const settings = { sequences: 1, draftTokensMax: 8 }
    const subject = live(settings)
    subject.run(200)
    expect(longest(subject)).toBeGreaterThanOrEqual(6)
    for (const draftTokensMax of [2, 0]) {
      settings.draftTokensMax = draftTokensMax
      subject.run(1)
      expect(longest(subject)).toBe(draftTokensMax)
    }
    subject.run(200)
    settings.draftTokensMax = 8
    subject.run(20)
    expect(longest(subject)).toBeGreaterThanOrEqual(6)
  })

  test('of the load is followed within 20 steps', () => {
    const settings = { sequences: 1, draftTokensMax: 8 }
    const subject = live(settings)
    subject.run(200)
    settings.sequences = 16
    subject.run(20)
    expect(longest(subject)).toBeLessThanOrEqual(3)
    settings.sequences = 1
    subject.run(20)
    expect(longest(subject)).toBeGreaterThanOrEqual(6)
  })
})

test('each sequence is drafted for as it accepts', () => {
  const subject = rounds({
    sequences: 4,
    layout: 'unified',
    controller: createGoodputController({ curve: () => curve, layout: 'unified' }),
    acceptance: ({ sequence }) => (sequence < 2 ? 0.9 : 0.3),
  })
  subject.run(400)
  const [first = 0, second = 0, third = 0, fourth = 0] = subject.lengths
  expect(Math.min(first, second)).toBeGreaterThan(Math.max(third, fourth) + 1)
})

describe('a sequence at its end', () => {
  const sequences = (gainMax: number): RunningSequence[] =>
    Array.from({ length: 8 }, (_, key) => ({
      key,
      contextTokens: 64,
      tokensMax: 8,
      methods: ['draft'],
      ...(key === 3 ? { gainMax } : {}),
    }))
  const lengthsIn = (layout: 'split' | 'unified', running: RunningSequence[]) => {
    const controller = createGoodputController({ curve: () => curve, layout })
    const asked = new Map(controller.asks(running, { promptTokens: 0, rowsMax: 64 }).map((ask) => [ask.key, ask]))
    return running.map(({ key }) => asked.get(key)?.tokensMax ?? 0)
  }

  test('drafts with the others where an uneven batch would take more passes', () => {
    const lengths = lengthsIn('split', sequences(0))
    expect(new Set(lengths).size).toBe(1)
    expect(lengths[0]).toBeGreaterThan(0)
  })

  test('drafts no more than it can gain where a batch of any shape is one pass', () => {
    const lengths = lengthsIn('unified', sequences(0))
    expect(lengths[3]).toBe(0)
    expect(lengths[2]).toBeGreaterThan(0)
  })

  test('drafts nothing where it is alone', () => {
    const [, , , alone] = sequences(0)
    if (alone === undefined) throw new Error('no sequence')
    expect(lengthsIn('split', [alone])).toEqual([0])
  })
})

test('proposals are cut where their confidence says so, after it was measured', () => {
  // Half of the draft tokens are nearly always right and half nearly always wrong, and the draft says which.
  const acceptance = ({ depth, step }: { depth: number; step: number }) => (step % 2 === 0 || depth < 3 ? 0.95 : 0.05)
  const informed = rounds({ acceptance, confidence: (rate) => rate })
  const blind = rounds({ acceptance })
  for (const subject of [informed, blind]) subject.run(1_000)
  expect(informed.tokensPerSecond).toBeGreaterThan(1.05 * blind.tokensPerSecond)
})

describe('the proposer of a sequence', () => {
  const both: RunningSequence = { key: 1, contextTokens: 64, tokensMax: 4, methods: ['draft', 'ngram'] }
  const facts = { promptTokens: 0, rowsMax: 64 }

  function run(steps: number, how: { acceptance: Record<string, number>; draftMs: number }) {
    const controller = goodput()
    const random = createRandom(3)
    const asked: string[] = []
    for (let step = 0; step < steps; step++) {
      const [ask] = controller.asks([both], facts)
      if (ask === undefined) {
        controller.learn({ rounds: [], plain: [1], draftMs: {}, decodeMs: 43.6 })
        continue
      }
      asked.push(ask.method)
      const tree = chainOf(Array.from({ length: ask.tokensMax }, (_, i) => i))
      const confidence = tree.tokens.map(() => 0.5)
      const [cut] = controller.cuts([both], [{ key: 1, method: ask.method, tree, confidence }], facts)
      const verified = cut?.nodes ?? 0
      let accepted = 0
      while (accepted < verified && random.next() < (how.acceptance[ask.method] ?? 0)) accepted += 1
      const depth = Math.min(accepted + 1, verified)
      controller.learn({
        rounds: [{ key: 1, method: ask.method, proposed: ask.tokensMax, verified, accepted, depth }],
        plain: [],
        draftMs: { [ask.method]: ask.method === 'draft' ? how.draftMs * ask.tokensMax : 0 },
        decodeMs: 43.6 * (1 + 0.2 * verified),
      })
    }
    return asked.slice(-200)
  }
  const share = (asked: string[], method: string) => asked.filter((one) => one === method).length / asked.length

  test('is the one that gains most per time', () => {
    expect(share(run(600, { acceptance: { draft: 0.9, ngram: 0.3 }, draftMs: 1 }), 'draft')).toBeGreaterThan(0.9)
    expect(share(run(600, { acceptance: { draft: 0.3, ngram: 0.9 }, draftMs: 1 }), 'ngram')).toBeGreaterThan(0.9)
  })

  test('is the cheap one where the dear one is hardly better', () => {
    expect(share(run(600, { acceptance: { draft: 0.75, ngram: 0.7 }, draftMs: 15 }), 'ngram')).toBeGreaterThan(0.9)
  })
})

test('a tree of which the path is told teaches like a chain', () => {
  const controller = goodput()
  const sequence: RunningSequence = { key: 1, contextTokens: 64, tokensMax: 4, methods: ['draft'] }
  const facts = { promptTokens: 0, rowsMax: 64 }
  const tree = { tokens: [1, 2, 3], parents: [-1, -1, 1], laws: null }
  for (let step = 0; step < 60; step++) {
    if (controller.asks([sequence], facts).length === 0) break
    controller.cuts([sequence], [{ key: 1, method: 'draft', tree, confidence: [0.5, 0.4, 0.5] }], facts)
    const round = { key: 1, method: 'draft' as const, proposed: 3, verified: 3, accepted: 2, depth: 2, path: [1, 2] }
    controller.learn({ rounds: [round], plain: [], draftMs: { draft: 0 }, decodeMs: 60 })
  }
  const cuts =
    controller.asks([sequence], facts).length > 0
      ? controller.cuts([sequence], [{ key: 1, method: 'draft', tree, confidence: [0.5, 0.4, 0.5] }], facts)
      : []
  expect(cuts[0]?.nodes).toBe(3)
})

describe('a proposer that is mostly silent', () => {
  const sequence: RunningSequence = { key: 1, contextTokens: 64, tokensMax: 8, methods: ['ngram'] }
  const facts = { promptTokens: 0, rowsMax: 64 }

  /** Share of the last 500 steps in which it was asked. It speaks in every fifth step. */
  function askedShare(how: { rate: number; draftMs: number }): number {
    const controller = goodput()
    const random = createRandom(5)
    let asked = 0
    for (let step = 0; step < 1_000; step++) {
      const [ask] = controller.asks([sequence], facts)
      if (ask === undefined) {
        controller.learn({ rounds: [], plain: [1], draftMs: {}, decodeMs: 43.6 })
        continue
      }
      if (step >= 500) asked += 1
      const tree = chainOf(step % 5 === 0 ? Array.from({ length: ask.tokensMax }, (_, i) => i) : [])
      const confidence = tree.tokens.map(() => 0.9)
      const [cut] = controller.cuts([sequence], [{ key: 1, method: 'ngram', tree, confidence }], facts)
      const verified = cut?.nodes ?? 0
      let accepted = 0
      while (accepted < verified && random.next() < how.rate) accepted += 1
      const depth = Math.min(accepted + 1, verified)
      controller.learn({
        rounds: [{ key: 1, method: 'ngram', proposed: tree.tokens.length, verified, accepted, depth }],
        plain: [],
        draftMs: { ngram: how.draftMs },
        decodeMs: 43.6 * (verified === 0 ? 1 : 1.3 + 0.07 * verified),
      })
    }
    return asked / 500
  }

  test('is heard at every step where that costs little against what it saves', () => {
    expect(askedShare({ rate: 0.9, draftMs: 0.5 })).toBeGreaterThan(0.9)
  })

  test('is seldom heard where what it says is wrong', () => {
    expect(askedShare({ rate: 0.05, draftMs: 2 })).toBeLessThan(0.3)
  })
})
