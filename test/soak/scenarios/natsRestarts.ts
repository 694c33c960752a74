/**
 * nats-server is killed and started again, over and over, under running streams and a trickle of new requests.
 *
 * Each client asks the same question again and again; the first answer, given before any kill, is what all later ones must be,
 * character by character. Requests that come while NATS is away must be refused with a clear 503, never hang and never fail.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findNatsServer } from '../../integration/support/natsServer.ts'
import { type Child, startChild } from '../../bench/harness/child.ts'
import { type Answer, HttpClient } from '../../bench/harness/client.ts'
import { chatPath, isComplete, sendChat } from '../../bench/harness/load.ts'
import type { Deployment, Platform } from '../../bench/harness/platform.ts'
import { question } from '../../bench/harness/prompts.ts'
import { between, seeded } from '../../bench/harness/random.ts'
import { contentOf } from '../../bench/harness/sse.ts'

const probesMax = 16

/** A slot for every stream and some for probes; 20 ms a step is a common pace. */
export const deploymentsFor = (streams: number): Deployment[] => [
  {
    name: 'sim',
    spec: {
      engine: {
        kind: 'simulated',
        slots: streams + 4,
        simulated: { stepMs: 20, rowMs: 0, promptTokensPerSecond: 20_000 },
      },
    },
  },
]

export interface Restart {
  readonly killedAt: number
  readonly upAt: number
  /** Streams that ran when the server was killed and still ran when it was back. */
  readonly streams: number
  /** From the server's return to the first new text of the last stream. */
  readonly streamsBackMs: number
  /** From the server's return to the first answer to a new request. */
  readonly servedMs: number
  readonly refusals: number
}

export interface NatsRestarts {
  readonly restarts: readonly Restart[]
  readonly completed: number
  /** Answers that differ from the first one, and streams that ended with an error. */
  readonly wrong: readonly string[]
  /** Answers to new requests that were neither good nor a clear 503. */
  readonly unclear: readonly string[]
}

interface Options {
  readonly restarts: number
  readonly streams: number
  readonly tokens: number
  readonly seed: number
}

interface Record {
  readonly answers: Answer[]
  readonly probes: Answer[]
  readonly wrong: string[]
  readonly unclear: string[]
  completed: number
}

export async function runNatsRestarts(platform: Platform, options: Options): Promise<NatsRestarts> {
  const client = new HttpClient({ name: 'paceline', url: platform.url, model: 'sim' }, options.streams + probesMax + 2)
  const record: Record = { answers: [], probes: [], wrong: [], unclear: [], completed: 0 }
  const ending = new AbortController()
  const texts = await firstTexts(client, options)
  const streams = texts.map((text, index) => askAgain(client, { ...options, index, text }, record, ending.signal))
  const probing = probe(client, record, ending.signal)
  const times: { killedAt: number; upAt: number }[] = []
  const server = { child: platform.nats }
  try {
    const random = seeded(options.seed)
    for (let i = 0; i < options.restarts; i++) {
      await wait(between(random, 800, 2_000))
      times.push(await restart(platform, server, between(random, 200, 2_000)))
      await wait(1_500)
    }
  } finally {
    ending.abort()
    await Promise.all([...streams, probing])
    await client.close()
    if (server.child !== platform.nats) await server.child.stop()
  }
  const { completed, wrong, unclear } = record
  return { completed, wrong, unclear, restarts: times.map((time) => restartOf(time, record)) }
}

async function firstTexts(client: HttpClient, options: Options): Promise<string[]> {
  const answers = await Promise.all(
    Array.from({ length: options.streams }, (_, index) => sendChat(client, requestOf({ ...options, index }))),
  )
  for (const answer of answers) if (!isComplete(answer)) throw new Error(`no first answer: ${describe(answer)}`)
  return answers.map((answer) => contentOf(answer).text)
}

const requestOf = ({ seed, index, tokens }: { seed: number; index: number; tokens: number }) => ({
  prompt: question(seed * 1_000 + index),
  tokens,
})

async function askAgain(
  client: HttpClient,
  options: Options & { index: number; text: string },
  record: Record,
  ending: AbortSignal,
): Promise<void> {
  while (!ending.aborted) {
    const answer = await sendChat(client, requestOf(options))
    record.answers.push(answer)
    if (isComplete(answer)) {
      record.completed += 1
      const { text } = contentOf(answer)
      if (text !== options.text) record.wrong.push(`stream ${options.index}: ${difference(options.text, text)}`)
    } else if (answer.status === 200) record.wrong.push(`stream ${options.index} failed: ${describe(answer)}`)
    else {
      if (!isClearRefusal(answer)) record.unclear.push(describe(answer))
      await wait(50)
    }
  }
}

/** New requests all the time, one token each; one that waits (sent just before a kill) holds up no other. */
async function probe(client: HttpClient, record: Record, ending: AbortSignal): Promise<void> {
  const open = new Set<Promise<void>>()
  while (!ending.aborted) {
    const one = probeOnce(client, record).finally(() => open.delete(one))
    open.add(one)
    await wait(50)
    if (open.size > probesMax) await Promise.race(open)
  }
  await Promise.all(open)
}

async function probeOnce(client: HttpClient, record: Record): Promise<void> {
  const answer = await client.post(chatPath, { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 })
  record.probes.push(answer)
  const isGood = answer.status === 200 && answer.error === null
  if (!isGood && !isClearRefusal(answer)) record.unclear.push(describe(answer))
}

/** SIGKILL, a while without any server, and the same configuration and files again. */
async function restart(
  platform: Platform,
  server: { child: Child },
  downMs: number,
): Promise<{ killedAt: number; upAt: number }> {
  const program = findNatsServer()
  if (program === null) throw new Error('nats-server was here a moment ago')
  const killedAt = performance.now()
  server.child.signal('SIGKILL')
  await wait(downMs)
  server.child = startChild({
    name: 'nats-server',
    command: program,
    args: ['-c', join(platform.folder, 'nats.conf')],
    logFile: join(platform.folder, 'nats.log'),
  })
  return { killedAt, upAt: performance.now() }
}

function restartOf(time: { killedAt: number; upAt: number }, { answers, probes }: Record): Restart {
  const { killedAt, upAt } = time
  const across = answers.filter(
    (answer) => answer.startedAt < killedAt && answer.endedAt > upAt && answer.status === 200,
  )
  const backMs = across.map((answer) => (answer.contentAt.find((at) => at > upAt) ?? Number.POSITIVE_INFINITY) - upAt)
  const served = probes.find((answer) => answer.startedAt > killedAt && answer.endedAt > upAt && answer.status === 200)
  const isDuring = (answer: Answer) => answer.startedAt > killedAt && answer.startedAt < upAt && answer.status === 503
  return {
    killedAt,
    upAt,
    streams: across.length,
    streamsBackMs: Math.max(0, ...backMs),
    servedMs: (served?.endedAt ?? Number.POSITIVE_INFINITY) - upAt,
    refusals: [...answers, ...probes].filter(isDuring).length,
  }
}

/** 503, an error of OpenAI's shape, and when to come back. */
function isClearRefusal(answer: Answer): boolean {
  if (answer.status !== 503 || answer.error !== null || answer.headers['retry-after'] === undefined) return false
  return /"error":\s*\{/.test(answer.body) && /"message":\s*"[^"]+/.test(answer.body)
}

function describe(answer: Answer): string {
  const last = answer.frames.at(-1)?.data ?? answer.body
  return `status ${answer.status}, ${answer.error?.message ?? 'no transport error'}: ${last.slice(0, 300)}`
}

function difference(wanted: string, got: string): string {
  let at = 0
  while (at < wanted.length && wanted[at] === got[at]) at += 1
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 20), at + 30))
  return `from character ${at} on ${around(got)} instead of ${around(wanted)} (${got.length} of ${wanted.length} characters)`
}
