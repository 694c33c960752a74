/**
 * Clients that leave at random phases: queued, in the prompt, while tokens come; streaming or not.
 *
 * After each the worker's slots and the router's gauges must be as before within one engine step and 100 ms, and after all of
 * them nothing may be left over.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type * as z from 'zod'
import { WorkerReport } from '#contracts/messages.ts'
import { HttpClient, type Target } from '../../bench/harness/client.ts'
import { chatBody, chatPath, sendChat } from '../../bench/harness/load.ts'
import type { Platform } from '../../bench/harness/platform.ts'
import { scrape, total } from '../../bench/harness/prometheus.ts'
import { question, wordsOf } from '../../bench/harness/prompts.ts'
import { between, pick, seeded } from '../../bench/harness/random.ts'

export const phases = ['queued', 'prompt', 'decode'] as const
export type Phase = (typeof phases)[number]

export interface Cancelled {
  readonly phase: Phase
  readonly streaming: boolean
  /** From the moment the client left until all capacity was back; infinite where it never came. */
  readonly backMs: number
}

export interface CancelOptions {
  readonly count: number
  readonly seed: number
  readonly slots: number
  /** Tokens of the long prompt that is left in the middle. */
  readonly promptTokens: number
  /** About how long that prompt takes to compute: the client leaves somewhere within. */
  readonly promptMs: number
  /** About when a short request has its first token: who leaves later leaves while tokens come. */
  readonly firstTokenMs: number
}

interface Capacity {
  readonly running: number
  readonly waiting: number
  readonly queued: number
  readonly dispatched: number
}

/** The worker's own status page, because its gauges are only as new as its last report; the router's gauges are always current. */
export async function capacity(platform: Platform): Promise<Capacity> {
  const [router, ...workers] = await Promise.all([
    scrape(platform.url),
    ...platform.workers.map(async ({ metricsUrl }) => Status.parse(await (await fetch(`${metricsUrl}/status`)).json())),
  ])
  const sum = (field: (status: z.infer<typeof Status>) => number) =>
    workers.reduce((all, status) => all + field(status), 0)
  return {
    running: sum(({ slots }) => slots.busy),
    waiting: sum(({ slots }) => slots.waiting),
    queued: total(router, 'paceline_queue_depth'),
    dispatched: total(router, 'paceline_requests_running'),
  }
}

/** Cells in use and the running gauge, as a monitoring system sees them a moment after everything has ended. */
export async function leftInWorkers(platform: Platform): Promise<{ cells: number; runningGauge: number }> {
  await wait(500)
  const pages = await Promise.all(
    platform.workers.map(async ({ metricsUrl }) => Status.parse(await (await fetch(`${metricsUrl}/status`)).json())),
  )
  const samples = await Promise.all(platform.workers.map(({ metricsUrl }) => scrape(metricsUrl)))
  return {
    cells: pages.reduce((all, { cells }) => all + cells.used, 0),
    runningGauge: total(samples.flat(), 'vllm:num_requests_running'),
  }
}

const Status = WorkerReport.pick({ slots: true, cells: true })

/** Polls until capacity is as wanted; how long that took (the last question included), or infinity. */
async function untilCapacity(platform: Platform, wanted: Capacity, timeoutMs: number): Promise<number> {
  const startedAt = performance.now()
  while (performance.now() - startedAt < timeoutMs) {
    const now = await capacity(platform)
    if (isSame(now, wanted)) return performance.now() - startedAt
    await wait(2)
  }
  return Number.POSITIVE_INFINITY
}

const isSame = (a: Capacity, b: Capacity): boolean =>
  a.running === b.running && a.waiting === b.waiting && a.queued === b.queued && a.dispatched === b.dispatched

export async function runCancels(platform: Platform, target: Target, options: CancelOptions): Promise<Cancelled[]> {
  const random = seeded(options.seed)
  const client = new HttpClient(target, 64)
  const results: Cancelled[] = []
  try {
    for (const phase of phases) {
      const count = Math.round(options.count / phases.length)
      const background = phase === 'queued' ? await occupy(client, platform, options) : null
      for (let index = 0; index < count; index += 1)
        results.push(
          await cancelOne(platform, client, { ...options, phase, random, index, isFull: background !== null }),
        )
      background?.abort()
      await untilCapacity(platform, idle, 30_000)
    }
    return results
  } finally {
    await client.close()
  }
}

export const idle: Capacity = { running: 0, waiting: 0, queued: 0, dispatched: 0 }

/** Keeps every slot busy with a stream that goes on for long, until aborted. */
async function occupy(
  client: HttpClient,
  platform: Platform,
  { slots, seed }: CancelOptions,
): Promise<AbortController> {
  const controller = new AbortController()
  const lane = async (number: number) => {
    for (let turn = 0; !controller.signal.aborted; turn += 1)
      await sendChat(client, { prompt: question(seed + turn * slots + number), tokens: 1_900 }, controller.signal)
  }
  for (let number = 0; number < slots; number += 1) void lane(number)
  await untilCapacity(platform, { ...idle, running: slots, dispatched: slots }, 60_000)
  return controller
}

interface One extends CancelOptions {
  readonly phase: Phase
  readonly random: () => number
  readonly index: number
  readonly isFull: boolean
}

async function cancelOne(platform: Platform, client: HttpClient, options: One): Promise<Cancelled> {
  const { phase, random, slots, isFull } = options
  const streaming = pick(random, [true, false])
  const seed = options.seed * 10_000 + options.index
  const prompt = phase === 'prompt' ? wordsOf(seed, options.promptTokens) : question(seed)
  const { stream_options: _, ...body } = chatBody({ prompt, tokens: 400 })
  const controller = new AbortController()
  const sent = streaming ? chatBody({ prompt, tokens: 400 }) : { ...body, stream: false }
  const answer = client.post(chatPath, sent, controller.signal)
  await wait(leavesAfterMs(options))
  controller.abort()
  const wanted = isFull ? { ...idle, running: slots, dispatched: slots } : idle
  const backMs = await untilCapacity(platform, wanted, 10_000)
  await answer
  return { phase, streaming, backMs }
}

function leavesAfterMs({ phase, random, promptMs, firstTokenMs }: One): number {
  switch (phase) {
    case 'queued':
      return between(random, 1, 150)
    case 'prompt':
      return between(random, 1, Math.round(promptMs))
    case 'decode':
      return Math.round(firstTokenMs * 1.3) + between(random, 1, 500)
    default:
      return phase satisfies never
  }
}
