import { expect, test } from 'vitest'
import type { ModelRunner } from '../modelRunner.ts'
import { systemClock } from '#runtime/clock.ts'
import { createSimulatedRunner } from '../simulated/simulatedRunner.ts'
import { seedPrompts } from './seedPrompts.ts'
import { writeTexts, type WritingRequest } from './writeTexts.ts'

const writing = { tokensMax: 24, temperature: 0.8, seed: 3 }

test('every prompt is answered once, whatever the number of slots, with the same text', async () => {
  const prompts = seedPrompts(11, 1)
  const alone = await allTexts(runner(1), prompts)
  const together = await allTexts(runner(4), prompts)
  expect(together.map(({ number }) => number)).toEqual(prompts.map((_, i) => i))
  expect(together).toEqual(alone)
})

test('an answer ends at its limit, at the end of the context, or with an end token', async () => {
  const subject = runner(3, 150)
  for (const { prompt, answer } of await allTexts(subject, seedPrompts(6, 1))) {
    const ends = answer.filter((token) => subject.isEndOfGeneration(token))
    expect(answer.length).toBeGreaterThan(0)
    expect(prompt.length + answer.length).toBeLessThanOrEqual(150)
    expect(ends.length).toBeLessThanOrEqual(1)
    const isCut = answer.length === writing.tokensMax || prompt.length + answer.length === 150
    expect(isCut || subject.isEndOfGeneration(answer.at(-1) ?? 0)).toBe(true)
  }
})

test('a prompt that leaves no room for an answer is refused', async () => {
  await expect(allTexts(runner(1, 16), ['far more than sixteen tokens of text'])).rejects.toThrow(
    /prompt 0 has \d+ of 16/,
  )
})

test('… or left out where somebody wants to hear of it', async () => {
  const tooLong: number[] = []
  const long = 'far more than there is room for '.repeat(40)
  const prompts = [long, 'a', long]
  const written = []
  for await (const text of writeTexts(runner(2, 128), prompts, {
    ...writing,
    onTooLong: (number) => tooLong.push(number),
  }))
    written.push(text.number)
  expect(tooLong).toEqual([0, 2])
  expect(written).toEqual([1])
})

test('a request brings its own sampling and length', async () => {
  const messages = [{ role: 'user', content: 'Why is the sky blue?' }]
  const greedy = { messages, sampling: { temperature: 0 }, tokensMax: 5 }
  const [one, other] = await allTexts(runner(2), [greedy, { ...greedy, tokensMax: 3 }])
  expect(one?.sampling).toMatchObject({ temperature: 0, topP: 1 })
  expect(one?.answer).toHaveLength(5)
  expect(other?.answer).toEqual(one?.answer.slice(0, 3))
})

test('seed prompts differ in number and seed, and are the same each time', () => {
  expect(new Set(seedPrompts(1_200, 1)).size).toBe(1_200)
  expect(seedPrompts(20, 5)).toEqual(seedPrompts(20, 5))
  expect(seedPrompts(1, 1)).not.toEqual(seedPrompts(1, 2))
})

async function allTexts(subject: ModelRunner, prompts: readonly (string | WritingRequest)[]) {
  const written = []
  for await (const text of writeTexts(subject, prompts, writing)) written.push(text)
  return written.toSorted((a, b) => a.number - b.number)
}

function runner(slots: number, contextTokensMax = 256): ModelRunner {
  return createSimulatedRunner({
    promptTokensPerSecond: 1e6,
    stepMs: 0,
    rowMs: 0,
    acceptance: 1,
    draftTokens: 0,
    seed: 7,
    faults: [],
    slots,
    contextTokensMax,
    kvLayout: 'split',
    clock: systemClock,
  })
}
