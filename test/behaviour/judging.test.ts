/**
 * Who judges which request, on the real model with a draft made of it: draws judged by laws leave the law of the text alone; a grammar is
 * kept with drafts and without. Chance is fixed, so nothing here can change from run to run.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dispatch } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import type { Law } from '../../gpu-worker/core/speculation/law.ts'
import { LawReader } from '../../gpu-worker/core/speculation/processedLaw.ts'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { type Answer, EngineStand, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'
import { answersOf, proposerOf } from './waysOfDrafting.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`judging is not tested on a real model: ${model.reason}`)
const longMs = 600_000
const slots = 16

describe.skipIf(model.kind === 'missing')('drafts of a draft model', () => {
  let runner: ModelRunner
  let draftPath: string
  beforeAll(async () => {
    if (model.kind === 'missing') return
    draftPath = prunedDraft(model.path, join(tmpdir(), 'paceline-test-models'))
    runner = await openModel(model.path, { slots, contextTokensMax: 192, reproducible: true })
  }, longMs)
  afterAll(() => runner?.[Symbol.asyncDispose]())

  test('the second token, drawn by the draft and judged by laws, follows the law of the target', {
    timeout: longMs,
  }, async () => {
    const prompt = 'My favourite'
    const sampling = { ...samplingDefaults, temperature: 0.8, maxTokens: 3, ignoreEos: true, seedDrawn: true }
    const requests = Array.from({ length: 6 * slots }, (_, seed): Partial<Dispatch> => {
      const work = { kind: 'completion', prompt, echo: false } as const
      return { work, sampling: { ...sampling, seed } }
    })
    const draft = await proposerOf('a draft model', runner, draftPath)
    const answers: Answer[] = []
    {
      await using stand = new EngineStand(runner, { proposers: [draft], speculation: { draftTokensMax: 1 } })
      // As many at once as there are slots: then sequences have the same numbers, and the draft the same chance, in every run.
      for (let at = 0; at < requests.length; at += slots)
        answers.push(...(await stand.ask(requests.slice(at, at + slots))))
    }
    draft.close?.()
    expect(answers.reduce((sum, { usage }) => sum + usage.draftTokens, 0)).toBeGreaterThanOrEqual(requests.length)
    const pairs = answers.map(({ choices: [choice] }) => choice?.tokens.slice(0, 2) ?? [])
    const laws = await lawsAfter(
      prompt,
      pairs.map(([first = 0]) => first),
    )
    expect(
      tailOf(
        chiSquare(
          pairs.map(([, second = 0]) => second),
          laws,
        ),
      ),
    ).toBeGreaterThan(0.01)
  })

  test('an answer in a grammar is the same with drafts for a seed, and in the grammar without one', {
    timeout: longMs,
  }, async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 99 } },
      required: ['name', 'age'],
      additionalProperties: false,
    }
    const requestsOf = (seedDrawn: boolean) =>
      [1, 2].map((seed): Partial<Dispatch> => {
        const responseFormat = { type: 'json_schema', schema } as const
        const sampling = { ...samplingDefaults, temperature: 0.8, maxTokens: 40, seed, seedDrawn, responseFormat }
        return { work: { kind: 'completion', prompt: 'A person:', echo: false }, sampling }
      })
    const plain = await answersOf('nobody', requestsOf(false), { runner, draftPath })
    const drafted = await answersOf('a draft model', requestsOf(false), { runner, draftPath })
    expect(textsOf(drafted)).toEqual(textsOf(plain))
    expect(drafted.reduce((sum, { usage }) => sum + usage.acceptedTokens, 0)).toBeGreaterThan(0)
    const free = await answersOf('a draft model', requestsOf(true), { runner, draftPath })
    for (const { choices } of free)
      expect(JSON.parse(choices[0]?.text ?? '')).toEqual({
        name: expect.any(String) as string,
        age: expect.any(Number) as number,
      })
  })

  /** The target's law after the prompt and each of these tokens. */
  async function lawsAfter(prompt: string, firsts: readonly number[]): Promise<Law[]> {
    const reader = new LawReader(runner.info.vocabularySize)
    const tokens = runner.tokenize(prompt, { parseSpecial: false, addBegin: true })
    const known = new Map<number, Law>()
    for (const first of new Set(firsts)) {
      await runner.decode([{ slot: 0, position: 0, tokens: [...tokens, first], logitsForLast: 1 }])
      const row = runner.logits(0)
      for (const end of runner.endOfGenerationTokens()) row[end] = Number.NEGATIVE_INFINITY
      known.set(first, reader.read(row, { temperature: 0.8, topK: 0, minP: 0, topP: 1 }))
      runner.truncate(0, 0)
    }
    return firsts.flatMap((first) => known.get(first) ?? [])
  }
})

/** Places in the ranking of a law by probability, from 0, that are counted together up to each of these. */
const rankEnds = [1, 2, 4, 8, 16, 32, Number.POSITIVE_INFINITY]

/** Each of these tokens was drawn from the law at its index: laws differ, ranks can be counted together. */
function chiSquare(
  tokens: readonly number[],
  laws: readonly Law[],
): { readonly value: number; readonly freedom: number } {
  const bins = rankEnds.map(() => ({ expected: 0, seen: 0 }))
  for (const [i, law] of laws.entries()) {
    const places = [...law.tokens.keys()].sort((a, b) => (law.weights[b] ?? 0) - (law.weights[a] ?? 0))
    for (const [rank, place] of places.entries()) {
      const bin = bins[rankEnds.findIndex((end) => rank < end)]
      if (bin === undefined) continue
      bin.expected += law.weights[place] ?? 0
      if (law.tokens[place] === tokens[i]) bin.seen += 1
    }
  }
  expect(Math.min(...bins.map(({ expected }) => expected))).toBeGreaterThan(4)
  const value = bins.reduce((sum, { seen, expected }) => sum + (seen - expected) ** 2 / expected, 0)
  return { value, freedom: bins.length - 1 }
}

/** The chance of so large a value (Wilson and Hilferty). */
function tailOf({ value, freedom }: { readonly value: number; readonly freedom: number }): number {
  const spread = 2 / (9 * freedom)
  const z = (Math.cbrt(value / freedom) - (1 - spread)) / Math.sqrt(spread)
  // Of the normal law beyond z, by a bound that is sharp to a percent.
  const t = 1 / (1 + 0.231_641_9 * Math.abs(z))
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)
  const tail =
    density * t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))))
  return z >= 0 ? tail : 1 - tail
}
