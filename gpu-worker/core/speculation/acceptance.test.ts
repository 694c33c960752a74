import { describe, expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { Acceptance } from './acceptance.ts'
import { shifted } from './rates.ts'

const method = 'draft'
const conditional = (gains: readonly number[]) => gains.map((gain, i) => gain / (gains[i - 1] ?? 1))

/** One round of a chain: stops at the first token that is not taken. */
function round(
  subject: Acceptance,
  how: { key?: number; rates: readonly number[]; random: { next(): number } },
): number {
  for (const [i, rate] of how.rates.entries()) {
    const taken = how.random.next() < rate
    subject.tried(method, how.key ?? 1, { depth: i + 1, confidence: 0.5, taken })
    if (!taken) return i
  }
  return how.rates.length
}

describe('expected gains', () => {
  test('start optimistic and alike', () => {
    const subject = new Acceptance()
    expect(conditional(subject.expectedGains(method, 1, 4)).map((rate) => rate.toFixed(2))).toEqual(
      Array<string>(4).fill('0.80'),
    )
  })

  test('never rise with the depth', () => {
    const subject = new Acceptance()
    const random = createRandom(1)
    for (let i = 0; i < 200; i++) round(subject, { rates: [0.3, 0.9, 0.9, 0.9], random })
    const gains = subject.expectedGains(method, 1, 8)
    for (const [i, gain] of gains.entries()) expect(gain).toBeLessThanOrEqual(gains[i - 1] ?? 1)
  })

  test('are those of first guesses, whatever second ones come to', () => {
    const expected = [true, false].map((hasAlternatives) => {
      const subject = new Acceptance()
      for (let i = 0; i < 100; i++) {
        const node = { depth: 1, confidence: 0.5 }
        subject.tried(method, 1, { ...node, taken: i % 2 === 0 })
        if (hasAlternatives) subject.tried(method, 2, { ...node, confidence: 0.1, taken: false, isAlternative: true })
      }
      return subject.expectedGains(method, 1, 1)
    })
    expect(expected[0]).toEqual(expected[1])
  })

  test('follow the rates by depth, though deep tokens are seldom tried', () => {
    const subject = new Acceptance()
    const random = createRandom(2)
    const rates = [0.9, 0.7, 0.5, 0.3]
    for (let i = 0; i < 2_000; i++) round(subject, { rates, random })
    const learned = conditional(subject.expectedGains(method, 1, 4))
    for (const [i, rate] of rates.entries()) expect(Math.abs((learned[i] ?? 0) - rate)).toBeLessThan(0.12)
  })

  test('are not biased by how many tokens were verified', () => {
    const random = createRandom(3)
    const [shallow, deep] = [new Acceptance(), new Acceptance()]
    for (let i = 0; i < 3_000; i++) {
      round(shallow, { rates: [0.6], random })
      round(deep, { rates: [0.6, 0.6, 0.6, 0.6, 0.6, 0.6], random })
    }
    for (const subject of [shallow, deep])
      expect(Math.abs((subject.expectedGains(method, 1, 1)[0] ?? 0) - 0.6)).toBeLessThan(0.08)
  })

  test('a depth that was never verified follows the others', () => {
    const subject = new Acceptance()
    const random = createRandom(4)
    for (let i = 0; i < 500; i++) round(subject, { rates: [0.9], random })
    expect(conditional(subject.expectedGains(method, 1, 3))[2]).toBeGreaterThan(0.8)
  })

  test('count how often a method has nothing to say', () => {
    const subject = new Acceptance()
    for (let i = 0; i < 200; i++)
      subject.asked({ method, key: i % 2, askedDepth: 4, proposedDepth: i % 2 === 0 ? 4 : 0, firstChance: 0.5 })
    const [often, never] = [0, 1].map((key) => subject.expectedGains(method, key, 4)[0] ?? 0)
    expect(often).toBeGreaterThan(0.6)
    expect(never).toBeLessThan(0.2)
  })

  test('count how far proposals reach', () => {
    const subject = new Acceptance()
    for (let i = 0; i < 200; i++) subject.asked({ method, key: 1, askedDepth: 8, proposedDepth: 2, firstChance: 0.5 })
    const gains = subject.expectedGains(method, 1, 8)
    expect(gains[1]).toBeGreaterThan(0.5)
    expect(gains[2]).toBeLessThan(0.05)
  })
})

describe('a sequence', () => {
  test('starts like the average and is then known by its own record', () => {
    const subject = new Acceptance()
    const random = createRandom(5)
    for (let i = 0; i < 400; i++)
      round(subject, { key: i % 8, rates: Array<number>(4).fill(i % 8 === 0 ? 0.9 : 0.4), random })
    const first = (key: number) => subject.expectedGains(method, key, 1)[0] ?? 0
    expect(first(0)).toBeGreaterThan(0.75)
    expect(first(1)).toBeLessThan(0.55)
    expect(Math.abs(first(99) - 0.55)).toBeLessThan(0.15)
    subject.forget(0)
    expect(first(0)).toBe(first(99))
  })

  test.each([
    [0.9, 0.5],
    [0.5, 0.9],
  ])('that changes from %f to %f is followed within 20 rounds', (before, after) => {
    const errors = Array.from({ length: 50 }, (_, seed) => {
      const subject = new Acceptance()
      const random = createRandom(seed)
      for (let i = 0; i < 200; i++) round(subject, { rates: Array<number>(4).fill(before), random })
      for (let i = 0; i < 20; i++) round(subject, { rates: Array<number>(4).fill(after), random })
      return Math.abs((subject.expectedGains(method, 1, 1)[0] ?? 0) - after)
    })
    errors.sort((a, b) => a - b)
    expect(errors[25]).toBeLessThan(0.1)
    expect(errors[45]).toBeLessThan(0.25)
  })
})

describe('confidence', () => {
  const chance = (subject: Acceptance, confidence: number) => subject.sharedChance(method, { depth: 1, confidence })

  test('is believed at first, then measured', () => {
    const subject = new Acceptance()
    expect(chance(subject, 0.93)).toBeCloseTo(0.95, 6)
    const random = createRandom(6)
    for (let i = 0; i < 500; i++) subject.tried(method, 1, { depth: 1, confidence: 0.93, taken: random.next() < 0.6 })
    expect(Math.abs(chance(subject, 0.93) - 0.6)).toBeLessThan(0.1)
    expect(chance(subject, 0.3)).toBeGreaterThan(0.3)
  })

  test('what is cut for its low confidence still counts by depth', () => {
    const random = createRandom(7)
    const subject = new Acceptance()
    // Half of the tokens are good and verified; half are bad and cut off, but for a probe now and then.
    for (let i = 0; i < 2_000; i++) {
      const confidence = random.next() < 0.5 ? 0.9 : 0.1
      const taken = random.next() < confidence
      if (confidence > 0.5 || i % 10 === 0) subject.tried(method, 1, { depth: 1, confidence, taken })
      else subject.cutOff(method, { depth: 1, confidence })
    }
    expect(Math.abs((subject.expectedGains(method, 1, 1)[0] ?? 0) - 0.5)).toBeLessThan(0.12)
  })
})

test('a shift of nothing changes nothing, and none makes certain', () => {
  expect(shifted(0.3, 0)).toBe(0.3)
  expect(shifted(0.3, 100)).toBeLessThan(1)
  expect(shifted(0.3, -100)).toBeGreaterThan(0)
})
