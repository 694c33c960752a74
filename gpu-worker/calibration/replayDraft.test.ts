import { expect, test } from 'vitest'
import { samplingDefaults } from '#contracts/sampling.ts'
import { systemClock } from '#runtime/clock.ts'
import { draftTokenOf, LikeliestReader } from '../llama/mostLikely.ts'
import type { ModelRunner } from '../modelRunner.ts'
import { createSimulatedRunner } from '../simulated/simulatedRunner.ts'
import { DraftReplay } from './replayDraft.ts'

const mostLikely = (row: Float32Array) => new LikeliestReader(row.length).read(row)
const processing = { ...samplingDefaults, temperature: 0 }
const prompt = [300, 301, 302]

test('each token of an answer gives an example, and every few of them a whole draft', async () => {
  const [target, draft] = [runner(7), runner(7)]
  const answer = await written(target, prompt, 10)
  const examples = await new DraftReplay(target, draft, { lengthMax: 4, draftEvery: 5 }).examplesOf(
    {
      prompt,
      answer,
      processing,
    },
    'coupled',
  )
  // Drafts begin at the first and the sixth token.
  expect(examples.map(({ position }) => position)).toEqual([...Array<number>(10).fill(1), 2, 3, 4, 2, 3, 4])
  // The same model twice: greedy, it takes all that it proposes.
  for (const { taken, weight } of examples) expect([taken, weight]).toEqual([1, 1])
})

test('a draft of another mind is taken as seldom as the target agrees, and what follows a rejection weighs nothing', async () => {
  const [target, draft] = [runner(7), runner(8)]
  const answer = await written(target, prompt, 12)
  const examples = await new DraftReplay(target, draft, { lengthMax: 3, draftEvery: 1 }).examplesOf(
    {
      prompt,
      answer,
      processing,
    },
    'coupled',
  )
  expect(examples.some(({ taken }) => taken === 0)).toBe(true)
  for (const { weight } of examples) expect(weight).toBeGreaterThan(0)
})

test('an example shows what the draft knew when it proposed', async () => {
  const [target, draft] = [runner(7), runner(8)]
  const [example] = await new DraftReplay(target, draft, { lengthMax: 1, draftEvery: 1 }).examplesOf(
    { prompt, answer: [303], processing },
    'coupled',
  )
  await draft.decode([{ slot: 0, position: 0, tokens: prompt, logitsForLast: 1 }])
  const token = draftTokenOf(mostLikely(draft.logits(0)))
  expect(example).toMatchObject({ position: 1, product: token.chance, token, weight: 1 })
})

test('of a warm request both race with the same noise: the same model takes all of it, another mind some', async () => {
  const warm = { ...samplingDefaults, temperature: 0.9 }
  const [target, draft, same] = [runner(7), runner(8), runner(7)]
  const text = { prompt, answer: await written(target, prompt, 16), processing: warm }
  const options = { lengthMax: 3, draftEvery: 4 }
  for (const { taken } of await new DraftReplay(target, same, options).examplesOf(text, 'coupled'))
    expect(taken).toBe(1)
  const ofTwo = await new DraftReplay(target, draft, options).examplesOf(text, 'coupled')
  expect(new Set(ofTwo.map(({ taken }) => taken))).toEqual(new Set([0, 1]))
})

test('a draw is taken as rejection takes it, and shows the law it was drawn from', async () => {
  const warm = { ...samplingDefaults, temperature: 0.9 }
  const [target, draft, same] = [runner(7), runner(8), runner(7)]
  const text = { prompt, answer: await written(target, prompt, 16), processing: warm }
  const options = { lengthMax: 3, draftEvery: 4 }
  const ofTwo = await new DraftReplay(target, draft, options).examplesOf(text, 'drawn')
  expect(ofTwo.every(({ token }) => token.isDrawn === true && token.chance <= (token.law?.chanceMax ?? 0))).toBe(true)
  expect(ofTwo.some(({ taken }) => taken < 1)).toBe(true)
  // Of the same law everything is taken, but for what the head of the draft's law leaves out.
  for (const { taken } of await new DraftReplay(target, same, options).examplesOf(text, 'drawn'))
    expect(taken).toBeGreaterThan(0.99)
})

test('the end of the context ends a draft, and both runners are left empty', async () => {
  const [target, draft] = [runner(7, 16), runner(7, 16)]
  const answer = await written(target, prompt, 12)
  const replay = new DraftReplay(target, draft, { lengthMax: 8, draftEvery: 1 })
  const once = await replay.examplesOf({ prompt, answer, processing }, 'coupled')
  expect(Math.max(...once.map(({ position }) => position))).toBe(8)
  expect(await replay.examplesOf({ prompt, answer, processing }, 'coupled')).toEqual(once)
  expect(await replay.examplesOf({ prompt, answer: [], processing }, 'coupled')).toEqual([])
})

async function written(target: ModelRunner, before: readonly number[], count: number): Promise<number[]> {
  const tokens = [...before]
  for (let position = 0; tokens.length < before.length + count; ) {
    const next = tokens.slice(position)
    await target.decode([{ slot: 0, position, tokens: next, logitsForLast: 1 }])
    position = tokens.length
    tokens.push(mostLikely(target.logits(0)).token)
  }
  target.truncate(0, 0)
  return tokens.slice(before.length)
}

function runner(seed: number, contextTokensMax = 256): ModelRunner {
  return createSimulatedRunner({
    promptTokensPerSecond: 1e6,
    stepMs: 0,
    rowMs: 0,
    acceptance: 1,
    draftTokens: 0,
    seed,
    faults: [],
    slots: 1,
    contextTokensMax,
    kvLayout: 'split',
    clock: systemClock,
  })
}
