import { describe, expect, test } from 'vitest'
import { DispatchId, RouterId, TenantId } from '#contracts/ids.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import { referenceLaw } from './core/sampling/referenceLaw.ts'
import { advance, enterSlot } from './core/sequence.ts'
import { growByThreshold } from './core/speculation/builders/dySpec.ts'
import { type Build, grow } from './core/speculation/builders/grow.ts'
import { growShape, pathsShape } from './core/speculation/builders/shape.ts'
import { type Chance, chanceFrom } from './core/speculation/chance.ts'
import { distance, outcomesOf } from './core/speculation/enumeration.fixture.ts'
import { LawReader } from './core/speculation/processedLaw.ts'
import { chainOf, pathOf, root, type TokenTree } from './core/speculation/tokenTree.ts'
import { Job } from './job.ts'
import type { ModelRunner } from './modelRunner.ts'
import { Verification } from './verification.ts'

const vocabularySize = 5
const endToken = 4
const prompt = [3]

/** Logits after a path, the same whenever they are asked for; in steps that float32 adds and halves without rounding. */
function logitsAfter(path: readonly number[], model: number): number[] {
  const random = mulberry32(path.reduce((sum, token) => sum * 7 + token + 1, model))
  return Array.from({ length: vocabularySize }, (_, i) =>
    i === endToken ? -6 : Math.round(4_096 * random() - 2_048) / 1_024,
  )
}
const targetRow = (path: readonly number[]) => Float32Array.from(logitsAfter(path, 11))
const reader = new LawReader(vocabularySize)

const runner = {
  info: { vocabularySize },
  endOfGenerationTokens: () => [endToken],
  isEndOfGeneration: (token: number) => token === endToken,
  pieceOf: (token: number) => Buffer.from(String(token)),
} as unknown as ModelRunner

function choiceOf(sampling: Partial<Sampling>, seed = 1) {
  const job = new Job({
    request: {
      id: DispatchId.parse('dispatch-1'),
      router: RouterId.parse('router-1'),
      tenant: TenantId.parse('tenant'),
      expert: null,
      waitedMs: 0,
      priority: 0,
      deadlineMs: 1,
      deltaIntervalMs: 0,
      prompt,
      echoText: '',
      choices: 1,
      sampling: { ...samplingDefaults, seedDrawn: true, ...sampling, seed },
      tokensMax: 100,
      matchers: [],
      digests: () => [],
    },
    runner,
    now: 0,
    nextNumber: () => seed,
  })
  enterSlot(job.leader.sequence, { slot: 0, computed: 0 })
  return job.leader
}

/** `judgedMs`: what the clock says that each place takes. */
function verificationOf(chanceAt?: () => Chance, judgedMs = 0) {
  let now = 0
  const clock = { now: () => (now += judgedMs) }
  const sampled: { accepted: boolean; best: number }[] = []
  const meter = { sampledAcceptance: (place: { accepted: boolean; best: number }) => void sampled.push(place) }
  return { sampled, verification: new Verification({ vocabularySize, meter, clock, ...(chanceAt && { chanceAt }) }) }
}

/** One step of the engine for one sequence. */
function round(verification: Verification, choice: ReturnType<typeof choiceOf>, draft: TokenTree) {
  advance(choice.sequence, 1)
  const before = choice.sequence.tokens.slice(prompt.length)
  return verification.judge({ choice, draft }, (node) =>
    targetRow([...before, ...(node === root ? [] : pathOf(draft, node))]),
  )
}

const draftOf = (build: Build, before: readonly number[] = []): TokenTree =>
  grow(build, (path) => {
    const row = Float32Array.from(logitsAfter([...before, ...path], 23))
    return reader.read(row, { temperature: 1, topK: 0, minP: 0, topP: 1 })
  }).tree
const builds: readonly (readonly [string, (chance: Chance) => Build])[] = [
  ['a chain', (chance) => growShape({ parents: pathsShape(1, 2), drawing: 'independent', chance })],
  ['a tree', (chance) => growByThreshold({ picking: chance, nodesMax: 4, valueMin: 0.25 })],
]
const samplings: Readonly<Record<string, Partial<Sampling>>> = {
  'at temperature 0.8': { temperature: 0.8 },
  'at temperature 1.3, min_p': { temperature: 1.3, minP: 0.2 },
  'with top_p': { topP: 0.7 },
  'with top_k': { topK: 2, temperature: 0.9 },
  'with penalties and bias': { repetitionPenalty: 2, presencePenalty: 1, logitBias: [[1, 1.5]] },
  'without end tokens': { ignoreEos: true, temperature: 1.9 },
}

describe('draws of a draft, by the path of the engine', () => {
  const cases = builds.flatMap(([name, build]) =>
    Object.entries(samplings).map(([how, sampling]) => ({ name, build, how, sampling })),
  )
  test.each(cases)('$name, $how: the first token has exactly the law of the sampler', ({ build, sampling }) => {
    const law = new Map<number, number>()
    const outcomes = outcomesOf((chance) => {
      const choice = choiceOf(sampling)
      round(verificationOf(() => chance).verification, choice, draftOf(build(chance)))
      return choice.sequence.tokens[prompt.length] ?? -1
    })
    for (const { value, probability } of outcomes) law.set(value, (law.get(value) ?? 0) + probability)
    const expected = referenceLaw({
      logits: [...targetRow([])].map((logit, token) => (sampling.ignoreEos && token === endToken ? -Infinity : logit)),
      sampling: { ...samplingDefaults, seed: 1, ...sampling },
      prompt,
    })
    const errors = distance(law, new Map([...expected.entries()].filter(([, p]) => p > 0)))
    // What the sampler's own exponential is exact to.
    expect(errors).toBeLessThan(1e-9)
  })

  test.each(builds)('%s: texts of three tokens follow the law, by chance as the worker has it', (_, build) => {
    const draws = 6_000
    const draftChance = chanceFrom(mulberry32(99))
    const counts = new Map<string, number>()
    const { verification } = verificationOf()
    for (let seed = 1; seed <= draws; seed++) {
      const choice = choiceOf({ temperature: 0.8, ignoreEos: true }, seed)
      while (choice.sequence.tokens.length < prompt.length + 3) {
        const before = choice.sequence.tokens.slice(prompt.length)
        round(verification, choice, draftOf(build(draftChance), before))
      }
      const text = choice.sequence.tokens.slice(prompt.length, prompt.length + 3).join()
      counts.set(text, (counts.get(text) ?? 0) + 1)
    }
    expect(chiSquareScore(counts, textLaw(3), draws)).toBeLessThan(3)
  })
})

describe('who judges', () => {
  const drawn = draftOf(
    growShape({ parents: pathsShape(1, 3), drawing: 'independent', chance: chanceFrom(mulberry32(5)) }),
  )
  const textWith = (sampling: Partial<Sampling>, draft: TokenTree) => {
    const choice = choiceOf(sampling)
    const { verification } = verificationOf()
    round(verification, choice, draft)
    while (choice.sequence.tokens.length < 8) round(verification, choice, chainOf([]))
    return choice.sequence.tokens.slice(0, 8)
  }

  test.each([
    ['a request with a seed', { seedDrawn: false }],
    ['a greedy one', { temperature: 0 }],
  ])('of %s, the text is the same with any draft, draws included', (_, sampling) => {
    const plain = textWith({ ignoreEos: true, ...sampling }, chainOf([]))
    expect(textWith({ ignoreEos: true, ...sampling }, drawn)).toEqual(plain)
    expect(textWith({ ignoreEos: true, ...sampling }, chainOf(plain.slice(1, 4)))).toEqual(plain)
  })

  test('drafts that nobody drew are judged as ever, seed or not', () => {
    const plain = textWith({ ignoreEos: true }, chainOf([]))
    expect(textWith({ ignoreEos: true }, chainOf(plain.slice(1, 4)))).toEqual(plain)
  })

  test('one place in 64 is measured against the best possible, the first one included', () => {
    const { sampled, verification } = verificationOf()
    for (let seed = 1; sampled.length < 3; seed++) round(verification, choiceOf({}, seed), drawn)
    for (const { best } of sampled) {
      expect(best).toBeGreaterThan(0)
      expect(best).toBeLessThanOrEqual(1)
    }
  })

  test('laws are read as long as they take little of a step', () => {
    const { verification } = verificationOf(undefined, 0.25)
    const step = { sequences: 8, stepMs: 20 }
    expect(verification.lawsPay(step)).toBe(true)
    for (let seed = 1; seed <= 2; seed++) round(verification, choiceOf({}, seed), drawn)
    expect(verification.lawsPay(step)).toBe(false)
    expect(verification.lawsPay({ sequences: 4, stepMs: 20 })).toBe(true)
    expect(verification.lawsPay({ sequences: 8, stepMs: 40 })).toBe(true)
  })

  test('tokens that were picked by the same noise are not measured against a bound that does not hold for them', () => {
    const { sampled, verification } = verificationOf()
    round(verification, choiceOf({ seedDrawn: false }), { ...chainOf([1, 2]), knowsNoise: true })
    expect(sampled).toEqual([])
  })

  test('a row that holds no number ends the sequence with a failure, whoever judges', () => {
    const choice = choiceOf({})
    advance(choice.sequence, 1)
    const { verification } = verificationOf()
    const judgement = verification.judge({ choice, draft: drawn }, () =>
      new Float32Array(vocabularySize).fill(Number.NaN),
    )
    expect(judgement.failure?.code).toBe('engine-fault')
    expect(judgement.gained).toBe(0)
  })
})

/** Of texts without end tokens, at temperature 0.8. */
function textLaw(length: number): Map<string, number> {
  let law = new Map<string, { readonly path: number[]; readonly p: number }>([['', { path: [], p: 1 }]])
  for (let i = 0; i < length; i++) {
    const next: typeof law = new Map()
    for (const { path, p } of law.values()) {
      const logits = [...targetRow(path)].map((logit, token) => (token === endToken ? -Infinity : logit))
      const step = referenceLaw({ logits, sampling: { ...samplingDefaults, seed: 1, temperature: 0.8 } })
      for (const [token, q] of step.entries())
        if (q > 0) next.set([...path, token].join(), { path: [...path, token], p: p * q })
    }
    law = next
  }
  return new Map([...law].map(([text, { p }]) => [text, p]))
}

/** How many standard deviations χ² is above what it is on average. */
function chiSquareScore(counts: ReadonlyMap<string, number>, law: ReadonlyMap<string, number>, draws: number): number {
  let chiSquare = 0
  for (const [text, p] of law) chiSquare += ((counts.get(text) ?? 0) - p * draws) ** 2 / (p * draws)
  const freedom = law.size - 1
  return (chiSquare - freedom) / Math.sqrt(2 * freedom)
}
