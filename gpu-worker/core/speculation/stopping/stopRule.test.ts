import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import {
  type AcceptanceHead,
  acceptanceChance,
  constantHead,
  type HeadExample,
  headLoss,
  trainHead,
  unweighted,
} from './acceptanceHead.ts'
import {
  batchCostRule,
  bestThreshold,
  confidenceRule,
  headRule,
  startOfDraft,
  type StopRule,
  thresholdRule,
} from './stopRule.ts'

/** The token at which the rule stops; null where it never does. */
function stopsAt(rule: StopRule, chances: readonly number[]): number | null {
  let state = startOfDraft
  for (const [i, chance] of chances.entries()) {
    state = rule.next(state, { chance })
    if (rule.shouldStop(state)) return i + 1
  }
  return null
}

describe('the threshold', () => {
  test('is the share of what stopping wastes', () => {
    expect(bestThreshold({ draftToken: 1, targetCall: 9 })).toBeCloseTo(0.9, 12)
    expect(bestThreshold({ draftToken: 1, targetCall: 9, delta: 2 })).toBeCloseTo(11 / 12, 12)
  })

  test('stops at the sixth of these tokens', () => {
    const chances = [1, 0.95, 0.9, 0.8, 0.7, 0.5]
    const rule = thresholdRule({ rejectedMax: 0.7 }, (_, { chance }) => chance)
    expect(stopsAt(rule, chances)).toBe(6)
    const rejected = chances.map((_, i) => 1 - chances.slice(0, i + 1).reduce((product, chance) => product * chance, 1))
    expect(rejected.map((chance) => Number(chance.toFixed(4)))).toEqual([0, 0.05, 0.145, 0.316, 0.5212, 0.7606])
  })

  const chances = fc.array(fc.double({ min: 0.01, max: 0.99, noNaN: true }), { minLength: 30, maxLength: 30 })
  test('of 1 always drafts the most, of 0 the least', () => {
    fc.assert(
      fc.property(chances, (list) => {
        expect(stopsAt(confidenceRule({ rejectedMax: 1, lengthMax: 20 }), list)).toBe(20)
        expect(stopsAt(confidenceRule({ rejectedMax: 0, lengthMin: 2 }), list)).toBe(2)
      }),
    )
  })
})

describe('without a trained model', () => {
  const curve = (rows: number) => 10 + 2 * (rows - 1)

  test('a draft goes on while its probability exceeds what a token of the batch costs', () => {
    // Each further row costs 0.2 of a step.
    const rule = batchCostRule({ stepMs: curve })
    expect(stopsAt(rule, [0.9, 0.8, 0.7, 0.6, 0.5, 0.5])).toBe(5)
    expect(stopsAt(rule, Array<number>(30).fill(1))).toBe(20)
    expect(stopsAt(rule, [0.1])).toBe(1)
  })

  test('it drafts less where rows cost more', () => {
    const chances = Array<number>(20).fill(0.8)
    const dear = stopsAt(batchCostRule({ stepMs: (rows) => 10 + 5 * (rows - 1) }), chances)
    const cheap = stopsAt(batchCostRule({ stepMs: (rows) => 10 + 0.5 * (rows - 1) }), chances)
    expect(dear).toBeLessThan(cheap ?? 0)
  })
})

/**
 * A stop rule may look at the draft only. Two models over three tokens: with the length chosen from the first draft token, the law of
 * what comes out is still the target's.
 */
test('a length chosen from the draft alone leaves the law as it is', () => {
  const target = [0.5, 0.3, 0.2]
  const draft = [0.2, 0.3, 0.5]
  const law = new Map<string, number>()
  const add = (text: string, chance: number) => void law.set(text, (law.get(text) ?? 0) + chance)
  /** Adds every text of two tokens that begins with `before`, verified from a draft of `length` tokens. */
  const verify = (before: string, drafted: number[], chance: number): void => {
    if (before.length === 2) return add(before, chance)
    const [next] = drafted
    if (next === undefined) return target.forEach((p, token) => verify(`${before}${token}`, [], chance * p))
    const [p = 0, q = 1] = [target[next], draft[next]]
    const taken = Math.min(1, p / q)
    verify(`${before}${next}`, drafted.slice(1), chance * taken)
    const rest = target.map((each, token) => Math.max(0, each - (draft[token] ?? 0)))
    const sum = rest.reduce((a, b) => a + b, 0)
    if (taken < 1) rest.forEach((each, token) => verify(`${before}${token}`, [], (chance * (1 - taken) * each) / sum))
  }
  draft.forEach((q1, first) => {
    if (first === 2) verify('', [first], q1)
    else draft.forEach((q2, second) => verify('', [first, second], q1 * q2))
  })
  target.forEach((p1, first) =>
    target.forEach((p2, second) => expect(law.get(`${first}${second}`)).toBeCloseTo(p1 * p2, 12)),
  )
})

describe('a head', () => {
  /** Acceptance that rises with the draft's own certainty. */
  const examples = (count: number): HeadExample[] => {
    const random = createRandom(1)
    return Array.from({ length: count }, () => {
      const chance = random.next()
      const chanceMax = Math.max(chance, random.next())
      const position = random.int(1, 8)
      const taken = 1 / (1 + Math.exp(-(4 * chance - 1.5 - 0.1 * position)))
      const law = { chanceMax, entropy: 2 * (1 - chanceMax), margin: chanceMax / 2 }
      return { position, product: chance ** position, token: { chance, law }, taken }
    })
  }

  test('learns the law it is trained on where both outcomes weigh the same', () => {
    const data = examples(2_000)
    const head = trainHead(data, { rejectionWeight: 1, ridge: 1e-6 })
    for (const example of data.slice(0, 200))
      expect(Math.abs(acceptanceChance(head, example) - example.taken)).toBeLessThan(0.01)
  })

  test('errs towards rejection where that weighs more', () => {
    const data = examples(500)
    const mean = (head: AcceptanceHead) =>
      data.reduce((sum, example) => sum + acceptanceChance(head, example), 0) / data.length
    expect(mean(trainHead(data))).toBeLessThan(mean(trainHead(data, { rejectionWeight: 1 })))
  })

  test('is at the bottom of its loss, and the same every time', () => {
    const data = examples(300)
    const head = trainHead(data)
    expect(trainHead(data)).toEqual(head)
    for (let i = 0; i < head.weights.length; i++)
      for (const step of [-0.3, 0.3]) {
        const moved = { weights: head.weights.map((weight, j) => weight + (i === j ? step : 0)) }
        expect(headLoss(moved, data)).toBeGreaterThan(headLoss(head, data) - 1e-6)
      }
  })

  test('stays finite where one feature tells all', () => {
    const data = [0.1, 0.2, 0.8, 0.9].map((chance) => ({
      position: 1,
      product: chance,
      token: { chance },
      taken: chance > 0.5 ? 1 : 0,
    }))
    for (const weight of trainHead(data).weights) expect(Number.isFinite(weight)).toBe(true)
  })

  test('stops a draft whose tokens it does not trust', () => {
    const head = trainHead(examples(1_000))
    const rule = headRule({ best: head, drawn: null }, { rejectedMax: 0.7 })
    expect(stopsAt(rule, Array<number>(20).fill(0.2))).toBeLessThan(stopsAt(rule, Array<number>(20).fill(0.99)) ?? 21)
  })

  test('is asked about the kind of token it was trained on; another kind counts as the draft says', () => {
    const [best] = [trainHead(examples(500))]
    const rule = headRule({ best, drawn: null })
    const token = { chance: 0.5, law: { chanceMax: 0.6, entropy: 1, margin: 0.2 } }
    const input = { position: 1, product: 0.5, token }
    expect(rule.chance(startOfDraft, token)).toBe(acceptanceChance(best, input))
    expect(rule.chance(startOfDraft, { ...token, isDrawn: true })).toBe(0.5)
    expect(headRule({ best: null, drawn: best }).chance(startOfDraft, { ...token, isDrawn: true })).toBe(
      acceptanceChance(best, { ...input, token: { ...token, isDrawn: true } }),
    )
  })

  test('whose predictions are a proposal’s confidence makes the controller cut where its rule stops', () => {
    const rule = headRule({ best: trainHead(examples(500)), drawn: null }, { lengthMin: 0 })
    const tokens = fc.array(fc.record({ chance: fc.double({ min: 0.01, max: 1, noNaN: true }) }), { maxLength: 12 })
    fc.assert(
      fc.property(tokens, (drafted) => {
        let state = startOfDraft
        const confidence = drafted.map((token) => {
          const chance = rule.chance(state, token)
          state = rule.next(state, token)
          return chance
        })
        expect(stopsAt(confidenceRule(), confidence)).toBe(
          stopsAt(
            rule,
            drafted.map(({ chance }) => chance),
          ),
        )
      }),
    )
  })
})

test('rejections that weighed more in training are taken back from a prediction', () => {
  const weighted = { weights: [0, 0, 0, 0, 1, 0, 0] }
  const input = { position: 1, product: 0.5, token: { chance: 0.5 } }
  const odds = (chance: number) => chance / (1 - chance)
  expect(odds(acceptanceChance(unweighted(weighted, 6), input))).toBeCloseTo(
    6 * odds(acceptanceChance(weighted, input)),
    9,
  )
})

test('the best prediction that looks at nothing is the share that was taken, by weight', () => {
  const example = (taken: number, weight: number): HeadExample => ({
    position: 1,
    product: 1,
    token: { chance: 1 },
    taken,
    weight,
  })
  const given = [example(1, 3), example(0, 1)]
  expect(acceptanceChance(constantHead(given, 1), example(0, 1))).toBeCloseTo(0.75, 6)
  expect(acceptanceChance(constantHead(given, 3), example(0, 1))).toBeCloseTo(0.5, 6)
})
