/**
 * Memory and what the prefix cache is worth: a worker with every cell filled, a router with 200 open streams, the second turn of
 * a long chat.
 */
import { type Answer, HttpClient, type Target } from '../../bench/harness/client.ts'
import { chatBody, chatPath, isComplete, sendChat } from '../../bench/harness/load.ts'
import type { Platform } from '../../bench/harness/platform.ts'
import { question, wordsOf } from '../../bench/harness/prompts.ts'
import { residentBytes } from '../../bench/harness/processes.ts'
import { contentOf } from '../../bench/harness/sse.ts'

const toMiB = (bytes: number): number => bytes / 2 ** 20

/** Fills `slots` contexts to their last cells at once; the worker's resident memory with all of them full. */
export async function filledWorkerMiB(
  platform: Platform,
  target: Target,
  filled: { slots: number; contextTokensMax: number },
): Promise<number> {
  const client = new HttpClient(target, filled.slots)
  const promptTokens = filled.contextTokensMax - 110
  const answers = await Promise.all(
    Array.from({ length: filled.slots }, (_, index) =>
      sendChat(client, { prompt: wordsOf(31_000 + index, promptTokens), tokens: 40 }),
    ),
  )
  await client.close()
  requireComplete(answers)
  const [worker] = platform.workers
  return worker === undefined ? Number.NaN : toMiB(residentBytes(worker.child.pid))
}

/** Largest resident memory of the router while `streams` paced streams are open. */
export async function routerMiBAtStreams(
  platform: Platform,
  target: Target,
  options: { streams: number; tokens: number },
): Promise<number> {
  const client = new HttpClient(target, options.streams)
  let largest = 0
  const sampler = setInterval(() => {
    largest = Math.max(largest, residentBytes(platform.router.pid))
  }, 50)
  const answers = await Promise.all(
    Array.from({ length: options.streams }, (_, index) =>
      sendChat(client, { prompt: question(index), tokens: options.tokens }),
    ),
  )
  clearInterval(sampler)
  await client.close()
  requireComplete(answers)
  return toMiB(largest)
}

export interface Turns {
  readonly firstMs: number
  readonly secondMs: number
  readonly promptTokens: number
  readonly cachedTokens: number
}

/** A chat of about `tokens` tokens, and its second turn with the answer and one more question. */
export async function twoTurns(target: Target, { seed, tokens }: { seed: number; tokens: number }): Promise<Turns> {
  const client = new HttpClient(target, 1)
  const first = { role: 'user', content: wordsOf(seed, tokens) }
  const ask = (messages: readonly object[]) =>
    client.post(chatPath, { ...chatBody({ prompt: '', tokens: 24 }), messages })
  const one = await ask([first])
  const said = { role: 'assistant', content: contentOf(one).text }
  const two = await ask([first, said, { role: 'user', content: 'And in one sentence?' }])
  await client.close()
  requireComplete([one, two])
  const { promptTokens, cachedTokens } = contentOf(two)
  return { firstMs: firstTextMs(one), secondMs: firstTextMs(two), promptTokens, cachedTokens }
}

const firstTextMs = ({ firstAt, endedAt, startedAt }: Answer): number => (firstAt ?? endedAt) - startedAt

function requireComplete(answers: readonly Answer[]): void {
  const broken = answers.find((answer) => !isComplete(answer))
  if (broken !== undefined)
    throw new Error(
      `a request failed: status ${broken.status} ${broken.error?.message ?? ''} ${broken.body.slice(0, 300)}`,
    )
}
