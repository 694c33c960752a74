import { expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import type { ModelRunner } from '../modelRunner.ts'
import { createSimulatedRunner } from '../simulated/simulatedRunner.ts'
import { NextTokens } from './nextTokens.ts'

const beginning = 'two questions, each with an answer: '
const prompts = ['the first', 'the second, which is longer', 'first', 'x'].map((end) => beginning + end)

test('what is said of a prompt is the same whatever was asked before it, and in however many slots', async () => {
  const alone = await Promise.all(prompts.map((prompt) => new NextTokens(runner(1), 5).of([prompt])))
  const together = new NextTokens(runner(2), 5)
  expect(await together.of(prompts)).toEqual(alone.flat())
  // Slots hold other prompts now, which share the beginning; and the same ones again.
  expect(await together.of(prompts.toReversed())).toEqual(alone.flat().toReversed())
  expect(await together.of(prompts.toReversed())).toEqual(alone.flat().toReversed())
})

test('tokens come with the likeliest first, as many as are asked for', async () => {
  const [said] = await new NextTokens(runner(1), 3).of([beginning])
  expect(said?.top).toHaveLength(3)
  expect(said?.logprob).toBe(said?.top[0]?.logprob)
  const logs = said?.top.map(({ logprob }) => logprob) ?? []
  expect(logs).toEqual(logs.toSorted((a, b) => b - a))
})

test('a prompt that does not fit says nothing, and the others are not disturbed', async () => {
  const small = new NextTokens(runner(2, 64), 3)
  const [first, long, last] = await small.of(['a', 'far more than there is room for '.repeat(20), 'b'])
  expect(long).toBeUndefined()
  expect(await new NextTokens(runner(2, 64), 3).of(['a', 'b'])).toEqual([first, last])
})

test('only what differs from what a slot holds is computed', async () => {
  const subject = runner(1)
  let tokens = 0
  const decode = subject.decode.bind(subject)
  subject.decode = (spans, options) => {
    tokens += spans.reduce((sum, span) => sum + span.tokens.length, 0)
    return decode(spans, options)
  }
  const next = new NextTokens(subject, 1)
  await next.of([`${beginning}a`])
  const first = tokens
  await next.of([`${beginning}b`])
  expect(tokens - first).toBeLessThan(first / 4)
})

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
