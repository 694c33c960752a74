import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { promptOf, sampling, Stand } from './worker.fixture.ts'

const { prefixTokensMin, prefixDigestsMax } = limits.worker

test('what somebody computes and others will copy is reported as pending once, samples of one prompt included', async () => {
  const stand = new Stand({ contextTokensMax: 2_048, slots: 4, simulated: { promptTokensPerSecond: 100 } })
  const length = 1_000
  const work = { work: promptOf(length), sampling: sampling({ maxTokens: 4 }) }
  const first = stand.send({ ...work, choices: 2 })
  await stand.clock.advance(50)
  const second = stand.send(work)
  await stand.clock.runUntil(() => stand.worker.report().slots.busy > 0, 10_000)
  await stand.clock.advance(6_000)
  const { promptTokensPending, slots } = stand.worker.report()
  expect(slots).toMatchObject({ busy: 1, waiting: 2 })
  expect(promptTokensPending).toBeGreaterThan(prefixTokensMin)
  expect(promptTokensPending).toBeLessThan(length)
  await stand.end(first, second)
  expect(stand.worker.report().promptTokensPending).toBe(0)
})

test('a long prompt leaves room in the report for those of others', async () => {
  const stand = new Stand({ contextTokensMax: 8_192, prefixCacheMiB: 64, slots: 4 })
  const prefixesAfter = async (tokens: number, from: number) => {
    await stand.end(stand.send({ work: promptOf(tokens, from), sampling: sampling({ maxTokens: 4 }) }))
    return stand.worker.report().prefixes
  }
  const [short] = await prefixesAfter(200, 1)
  const prefixes = await prefixesAfter(64 * (prefixDigestsMax + 10), 2)
  expect(short).toBeDefined()
  expect(prefixes).toContain(short)
  expect(prefixes.length).toBeLessThanOrEqual(prefixDigestsMax)
})
