import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seeded } from '../seeded.ts'
import { type FeatureForm, featuresOf } from './features.ts'
import { gateOf, lawOf } from './preGate.ts'
import { evaluatePreGate, type Labelled, splitExamples, trainingDefaults, trainPreGate } from './train.ts'

const form: FeatureForm = { buckets: 4_096, gramMax: 3, tokensMax: 32 }
const options = { ...trainingDefaults, form, seed: 1 }
const anyTokens = fc.array(fc.integer({ min: 0, max: 300_000 }), { maxLength: 60 })

/** Prompts of subjects that share most of their words. */
function prompts(count: number, seed: number, subjects: readonly string[] = ['law', 'sql', 'verse']): Labelled[] {
  const uniform = seeded(seed)
  return Array.from({ length: count }, () => {
    const subject = Math.floor(uniform() * subjects.length)
    const word = () => (uniform() < 0.7 ? uniform() * 500 : 500 + 40 * subject + uniform() * 40)
    const tokens = Array.from({ length: 10 + Math.floor(uniform() * 30) }, () => Math.floor(word()))
    return { tokens, expert: subjects[subject] ?? '' }
  })
}

describe('features', () => {
  test('are a function of the first ids, of length one together, each bucket once and in order', () => {
    fc.assert(
      fc.property(anyTokens, anyTokens, (tokens, others) => {
        const { buckets, values } = featuresOf(tokens, form)
        expect(featuresOf([...tokens], form)).toEqual({ buckets, values })
        expect(buckets.every((bucket, i) => bucket < form.buckets && bucket > (buckets[i - 1] ?? -1))).toBe(true)
        const length = values.reduce((sum, value) => sum + value * value, 0)
        expect(length).toBeCloseTo(tokens.length === 0 ? 0 : 1, 12)
        const start = [...tokens, ...Array.from({ length: form.tokensMax }, () => 7)].slice(0, form.tokensMax)
        expect(featuresOf([...start, ...others], form)).toEqual(featuresOf(start, form))
      }),
    )
  })

  test('tell the order of tokens where runs are features, and only then', () => {
    const single = { ...form, gramMax: 1 }
    expect(featuresOf([1, 2, 3], single)).toEqual(featuresOf([3, 2, 1], single))
    expect(featuresOf([1, 2, 3], form)).not.toEqual(featuresOf([3, 2, 1], form))
  })

  test('spread over the buckets', () => {
    const used = new Set(Array.from({ length: 20_000 }, (_, token) => featuresOf([token], form).buckets[0]))
    expect(used.size).toBeGreaterThan(0.95 * form.buckets)
  })
})

describe('a gate', () => {
  const gate = trainPreGate(prompts(600, 1), options)

  test('finds the expert of prompts it has not seen', () => {
    const { right, examples, logLoss, byExpert } = evaluatePreGate(gate, prompts(400, 2))
    expect(right / examples).toBeGreaterThan(0.95)
    expect(logLoss).toBeLessThan(0.5)
    expect(Object.values(byExpert).reduce((sum, each) => sum + each.examples, 0)).toBe(400)
  })

  test('gives a law over its experts, and the same one for the same ids', () => {
    fc.assert(
      fc.property(anyTokens, (tokens) => {
        const law = lawOf(gate, featuresOf(tokens, form))
        expect(law.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 12)
        const gated = gateOf(gate, tokens)
        expect(gated).toEqual(gateOf(gate, [...tokens]))
        expect(gated.probability).toBe(Math.max(...law))
        expect(gate.experts).toContain(gated.expert)
      }),
    )
  })

  test('is the same for the same examples and seed, and nearly the same for another seed', () => {
    const examples = prompts(300, 3)
    const [first, again, other] = [1, 1, 2].map((seed) => trainPreGate(examples, { ...options, seed }))
    expect(again).toEqual(first)
    const probed = prompts(200, 4)
    const agree = probed.filter(({ tokens }) => {
      if (first === undefined || other === undefined) return false
      return gateOf(first, tokens).expert === gateOf(other, tokens).expert
    })
    expect(agree.length / probed.length).toBeGreaterThan(0.95)
  })

  test('that saw every expert alike often and nothing else is as sure of each', () => {
    const blank = ['a', 'b', 'c', 'd'].flatMap((expert) => Array.from({ length: 50 }, () => ({ tokens: [], expert })))
    const { probability } = gateOf(trainPreGate(blank, options), [])
    expect(probability).toBeCloseTo(0.25, 1)
  })

  test('of one expert sends everything there', () => {
    const only = trainPreGate([{ tokens: [1, 2], expert: 'sql' }], options)
    expect(gateOf(only, [9])).toEqual({ expert: 'sql', probability: 1 })
  })
})

test('examples are split by share and seed, each to one side', () => {
  const examples = prompts(100, 5)
  const { kept, heldOut } = splitExamples(examples, 0.2, 1)
  expect([kept.length, heldOut.length]).toEqual([80, 20])
  expect(new Set([...kept, ...heldOut]).size).toBe(100)
  expect(splitExamples(examples, 0.2, 1).heldOut).toEqual(heldOut)
  expect(splitExamples(examples, 0.2, 2).heldOut).not.toEqual(heldOut)
})
