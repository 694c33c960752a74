import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import type { GrammarMatcher } from '../../modelRunner.ts'
import { firstKey, raceTime, secondKey } from './noise.ts'
import { referenceLaw, softmax } from './referenceLaw.ts'
import { createSampler, type SamplerOptions } from './sampler.ts'

const samplingOf = (partial: Partial<Sampling>): Sampling => ({ ...samplingDefaults, seed: 1, ...partial })

function samplerOf(partial: Partial<Sampling>, options: Partial<SamplerOptions> & { vocabularySize: number }) {
  return createSampler({ sampling: samplingOf(partial), endTokens: [], prompt: [], ...options })
}

/** A grammar that allows a fixed set, and counts what it is asked. */
function grammarOf(allows: (token: number) => boolean): GrammarMatcher & { masks: number } {
  return {
    masks: 0,
    allows,
    mask(logits) {
      this.masks += 1
      for (let i = 0; i < logits.length; i++) if (!allows(i)) logits[i] = Number.NEGATIVE_INFINITY
    },
    accept() {},
    [Symbol.dispose]() {},
  }
}

/** The definition: of the tokens the law allows, the one with the least race time over weight. */
function drawByDefinition(law: readonly number[], seed: number, position: number): number {
  const first = firstKey(seed, position)
  const second = secondKey(seed, position)
  let best = -1
  let least = Number.POSITIVE_INFINITY
  for (const [token, p] of law.entries()) {
    const time = p > 0 ? raceTime(first, second, token) / p : Number.POSITIVE_INFINITY
    if (time < least) {
      least = time
      best = token
    }
  }
  return best
}

const laws: [string, Partial<Sampling>][] = [
  ['plain', {}],
  ['temperature', { temperature: 0.6 }],
  ['hot', { temperature: 1.8 }],
  ['top_k', { topK: 3 }],
  ['min_p', { minP: 0.2 }],
  ['top_p', { topP: 0.8 }],
  ['all of them', { temperature: 1.3, topK: 6, minP: 0.05, topP: 0.9 }],
  [
    'bias',
    {
      logitBias: [
        [2, -3],
        [5, 1.5],
        [1_000, 5],
      ],
      topP: 0.95,
    },
  ],
  ['penalties', { presencePenalty: 0.7, frequencyPenalty: 0.4, repetitionPenalty: 1.3 }],
]
const raw = [1.2, -0.4, 2.1, 0.3, 2.1, -1.5, 0.9, 1.9]
const history = { prompt: [0, 3], generated: [2, 2, 6] }

test.each(laws)('over many positions the drawn tokens follow the law: %s', (_, partial) => {
  const law = referenceLaw({ logits: raw, sampling: samplingOf(partial), ...history })
  const sampler = samplerOf(partial, { vocabularySize: raw.length, ...history })
  const draws = 100_000
  const counts = raw.map(() => 0)
  for (let position = 0; position < draws; position++) {
    const { token } = sampler.sample({ logits: Float32Array.from(raw), position })
    counts[token] = (counts[token] ?? 0) + 1
  }
  let chiSquare = 0
  for (const [token, p] of law.entries()) {
    if (p === 0) expect(counts[token]).toBe(0)
    else chiSquare += ((counts[token] ?? 0) - p * draws) ** 2 / (p * draws)
  }
  // 99.99% point of chi-square with 7 degrees of freedom; seeds are fixed, so this cannot flicker.
  expect(chiSquare).toBeLessThan(29.9)
})

test('the same law holds over seeds at one position', () => {
  const law = softmax(raw)
  const draws = 20_000
  const counts = raw.map(() => 0)
  for (let seed = 0; seed < draws; seed++) {
    const { token } = samplerOf({ seed }, { vocabularySize: raw.length }).sample({
      logits: Float32Array.from(raw),
      position: 12,
    })
    counts[token] = (counts[token] ?? 0) + 1
  }
  const chiSquare = law.reduce((sum, p, i) => sum + ((counts[i] ?? 0) - p * draws) ** 2 / (p * draws), 0)
  expect(chiSquare).toBeLessThan(29.9)
})

const logit = fc.oneof(
  { weight: 8, arbitrary: fc.float({ min: -20, max: 20, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(-Infinity) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 3) },
)
const row = fc.array(logit, { minLength: 1, maxLength: 300 }).filter((logits) => logits.some((x) => x > -Infinity))
const position = fc.nat(100_000)
const knobs = fc.record({
  seed: fc.integer({ min: 0, max: 0xffff_ffff }),
  temperature: fc.constantFrom(0, 0.1, 0.7, 1, 2),
  topK: fc.constantFrom(0, 0, 1, 2, 7, 40, 1_000),
  minP: fc.constantFrom(0, 0, 0.013, 0.5),
  topP: fc.constantFrom(1, 1, 0.97, 0.51, 0.0001),
})

test('every draw equals the definition on the reference law', () => {
  fc.assert(
    fc.property(row, knobs, position, (logits, partial, at) => {
      const law = referenceLaw({ logits, sampling: samplingOf(partial) })
      const { token } = samplerOf(partial, { vocabularySize: logits.length }).sample({
        logits: Float32Array.from(logits),
        position: at,
      })
      expect(law[token]).toBeGreaterThan(0)
      expect(token).toBe(drawByDefinition(law, partial.seed, at))
    }),
    { numRuns: 3_000, seed: 5 },
  )
})

test('with a grammar, every draw equals the definition on the conditioned law', () => {
  const allowed = fc.func(fc.boolean())
  fc.assert(
    fc.property(row, knobs, position, allowed, (logits, partial, at, allows) => {
      fc.pre(logits.some((x, i) => x > -Infinity && allows(i)))
      const law = referenceLaw({ logits, sampling: samplingOf(partial), allowed: allows })
      const { token } = samplerOf(partial, { vocabularySize: logits.length }).sample({
        logits: Float32Array.from(logits),
        position: at,
        grammar: grammarOf(allows),
      })
      expect(token).toBe(drawByDefinition(law, partial.seed, at))
    }),
    { numRuns: 3_000, seed: 6 },
  )
})

test('with a grammar that allows very little, the mask draws from the same law', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -5, max: 5, noNaN: true }), { minLength: 100, maxLength: 300 }),
      knobs,
      position,
      (logits, partial, at) => {
        const allows = (token: number) => token % 41 === 40
        const law = referenceLaw({ logits, sampling: samplingOf(partial), allowed: allows })
        const grammar = grammarOf(allows)
        const { token } = samplerOf(partial, { vocabularySize: logits.length }).sample({
          logits: Float32Array.from(logits),
          position: at,
          grammar,
        })
        expect(token).toBe(drawByDefinition(law, partial.seed, at))
        expect(grammar.masks).toBeLessThanOrEqual(1)
      },
    ),
    { numRuns: 1_000, seed: 7 },
  )
})

test('a winner that the grammar allows is taken without a mask', () => {
  const grammar = grammarOf(() => true)
  samplerOf({ temperature: 0.8 }, { vocabularySize: 8 }).sample({
    logits: Float32Array.from(raw),
    position: 3,
    grammar,
  })
  expect(grammar.masks).toBe(0)
})

test('temperature 0 takes the most probable token, the lower id of equal ones', () => {
  const { token } = samplerOf({ temperature: 0 }, { vocabularySize: 8 }).sample({
    logits: Float32Array.from(raw),
    position: 0,
  })
  expect(token).toBe(2)
})

test('the same seed and position give the same token whatever was sampled before', () => {
  const logits = Array.from({ length: 1_000 }, (_, i) => Math.sin(i * i))
  const fresh = samplerOf({ topP: 0.9 }, { vocabularySize: 1_000 })
  const used = samplerOf({ topP: 0.9 }, { vocabularySize: 1_000 })
  for (let at = 0; at < 50; at++) used.sample({ logits: Float32Array.from(logits, (x) => x * 3), position: at })
  for (let at = 0; at < 50; at++) {
    const one = fresh.sample({ logits: Float32Array.from(logits), position: at })
    const other = used.sample({ logits: Float32Array.from(logits), position: at })
    expect(one).toEqual(other)
  }
})

test('end tokens are impossible before min_tokens and always with ignore_eos', () => {
  const logits = () => Float32Array.from([0, 50, 0, 0])
  const sampler = samplerOf({ minTokens: 2 }, { vocabularySize: 4, endTokens: [1] })
  for (let at = 0; at < 2; at++) {
    expect(sampler.sample({ logits: logits(), position: at }).token).not.toBe(1)
    sampler.accept(0)
  }
  expect(sampler.sample({ logits: logits(), position: 2 }).token).toBe(1)
  expect(sampler.generatedCount).toBe(2)
  const ignoring = samplerOf({ ignoreEos: true }, { vocabularySize: 4, endTokens: [1] })
  expect(ignoring.sample({ logits: logits(), position: 2 }).token).not.toBe(1)
})

test('a finished grammar ends the text even before min_tokens', () => {
  const sampler = samplerOf({ minTokens: 5 }, { vocabularySize: 4, endTokens: [1] })
  const grammar = grammarOf((token) => token === 1)
  expect(sampler.sample({ logits: Float32Array.from([3, 0, 2, 1]), position: 9, grammar }).token).toBe(1)
})

test('a resumed sequence is penalised for what it generated before', () => {
  const partial = { temperature: 0, frequencyPenalty: 1.5, repetitionPenalty: 1.2 }
  const whole = samplerOf(partial, { vocabularySize: 8, prompt: [0] })
  for (const token of [2, 4, 2]) whole.accept(token)
  const resumed = samplerOf(partial, { vocabularySize: 8, prompt: [0], generated: [2, 4, 2] })
  const one = whole.sample({ logits: Float32Array.from(raw), position: 4 })
  expect(resumed.sample({ logits: Float32Array.from(raw), position: 4 })).toEqual(one)
  expect(one.token).toBe(7)
})

test('logprobs are those of the model, before bias, penalties, temperature and truncation', () => {
  fc.assert(
    fc.property(row, (logits) => {
      const partial = { temperature: 0.5, topK: 1, logprobs: 5, logitBias: [[0, 100]] as [number, number][] }
      const sampler = samplerOf(partial, { vocabularySize: logits.length })
      const { token, logprobs } = sampler.sample({ logits: Float32Array.from(logits), position: 0 })
      const law = softmax(logits)
      if (logprobs === undefined) throw new Error('no logprobs')
      expect(Math.exp(logprobs.logprob)).toBeCloseTo(law[token] ?? 0, 8)
      const ranking = [...logits.keys()]
        .filter((i) => (logits[i] ?? 0) > -Infinity)
        .sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
      expect(logprobs.top.map((one) => one.token)).toEqual(ranking.slice(0, 5))
      for (const one of logprobs.top) expect(Math.exp(one.logprob)).toBeCloseTo(law[one.token] ?? 0, 8)
    }),
    { numRuns: 500, seed: 8 },
  )
})

test('logits that are no numbers are an engine fault, not a token', () => {
  for (const bad of [
    [1, Number.NaN, 2],
    [1, Infinity],
    [-Infinity, Number.NaN],
    [-Infinity, Infinity],
    [-Infinity, -Infinity],
  ]) {
    const sampler = samplerOf({}, { vocabularySize: bad.length })
    const attempt = () => sampler.sample({ logits: Float32Array.from(bad), position: 0 })
    expect(attempt).toThrow(Failure)
    expect(attempt).toThrow(expect.objectContaining({ code: 'engine-fault' }))
  }
})

test('on a real vocabulary size the quick paths agree with the definition', () => {
  const size = 49_152
  for (let at = 0; at < 2; at++) {
    const logits = Float32Array.from(
      { length: size },
      (_, i) => 4 * Math.sin(i * 12.9898 + at) + (i % 977 === at ? 6 : 0),
    )
    for (const partial of [
      {},
      { topP: 0.9 },
      { topK: 20_000, topP: 0.99 },
      { minP: 0.1, topP: 0.7 },
      { topK: 5_000 },
    ]) {
      const law = referenceLaw({ logits: [...logits], sampling: samplingOf(partial) })
      const { token } = samplerOf(partial, { vocabularySize: size }).sample({ logits: logits.slice(), position: at })
      expect(token).toBe(drawByDefinition(law, 1, at))
    }
  }
})
