import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import type { AnsweredQuestion } from './core/judgement.ts'
import { InnerRequests } from './innerRequests.ts'
import { judged } from './judge.ts'
import type { RoutedRequest } from './request.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { fakeStage, request } from './testing/stage.ts'

const references = Array.from({ length: 8 }, () => ({ question: '1+1?', answer: '2', correct: true }))

/** What is asked of the judge for such answers. */
async function asked(answers: readonly AnsweredQuestion[], contextTokensMax: number): Promise<RoutedRequest[]> {
  const stage = await fakeStage()
  const sent: RoutedRequest[] = []
  const submitInner = (routed: RoutedRequest) => {
    sent.push(routed)
    return { cancel: () => undefined }
  }
  const inner = new InnerRequests({ router: { submitInner }, clock: stage.clock, client: request(stage) })
  const model = modelRecord({ contextTokensMax, queue: { requestsMax: 64, bytesMax: 20_000 } })
  const score = judged(inner, { model, references, prior: null }, answers)
  if (sent.length === 0) expect(await score).toBeNull()
  return sent
}
const answersOf = (count: number, characters: number) =>
  Array.from({ length: count }, () => ({ question: 'x', answer: 'y'.repeat(characters) }))

describe('a judge', () => {
  test('is asked all at once, and has half of the time that is left', async () => {
    const [sent, ...more] = await asked(answersOf(1, 100), 2_048)
    expect(sent?.works).toHaveLength(2 * references.length)
    expect(sent?.deadlineMs).toBe(5_000)
    expect(more).toHaveLength(0)
  })

  test('is not asked more than its line could take, one that is longer than its context, or too many', async () => {
    expect(await asked(answersOf(1, 1_250), 2_048)).toHaveLength(0)
    expect(await asked(answersOf(1, 500), 10)).toHaveLength(0)
    expect(await asked(answersOf(limits.router.innerWorksMax / 16 + 1, 0), 2_048)).toHaveLength(0)
  })
})
