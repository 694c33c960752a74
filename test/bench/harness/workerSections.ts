/**
 * What the worker bench measures, section by section: how load is made, which figure counts, which ratio is required.
 *
 * A section is a function of (client, seed): sides get equal requests, rounds different ones, so no cache can answer.
 */
import type { Answer, HttpClient } from './client.ts'
import { atOnce, isComplete, mixed, sendChat, type Throughput, throughputOf } from './load.ts'
import type { BenchOptions } from './options.ts'
import { question, wordsOf } from './prompts.ts'
import type { Requirement } from './report.ts'
import { contentOf } from './sse.ts'
import { gaps, median } from './statistics.ts'

export interface Sample {
  readonly value: number
  readonly tokens: number
  readonly detail: Readonly<Record<string, number>>
  /** Any failed request makes a round worthless: the first is told. */
  readonly failure: string | null
}

export interface Section {
  readonly name: string
  readonly unit: string
  readonly seed: number
  run(client: HttpClient, seed: number): Promise<Sample>
  bound(threads: number): Requirement['bound'] | null
}

export function sectionsOf(options: BenchOptions): Section[] {
  const tokens = options.value('tokens', options.quick ? 64 : 128)
  const streams = options
    .text('streams', options.quick ? '1,2,4,8' : '1,2,4,8,16')
    .split(',')
    .map(Number)
  const all = [
    ...streams.map((count) => streamsSection(count, tokens)),
    mixedSection(options.value('requests', options.quick ? 24 : 60)),
    firstTokenSection(options.quick ? 2 : 4),
    gapSection(),
  ]
  const { only } = options
  return only === null ? all : all.filter((section) => section.name.includes(only))
}

const streamsSection = (streams: number, tokens: number): Section => ({
  name: `${streams} stream${streams === 1 ? '' : 's'} of ${tokens} tokens`,
  unit: 'tok/s',
  seed: 10_000 + streams * 1_000,
  run: async (client, seed) => sampleOf(await atOnce(client, { streams, tokens, seed })),
  bound(threads) {
    if (streams === 8) return { atLeast: 0.95 }
    if (streams > 2) return null
    return { atLeast: threads === 1 ? 0.95 : 0.88 }
  },
})

const mixedSection = (requests: number): Section => ({
  name: `mixed lengths, 3 to 5 of 8 slots busy (${requests} requests)`,
  unit: 'tok/s',
  seed: 40_000,
  run: async (client, seed) => sampleOf(await mixed(client, { requests, seed })),
  bound: () => ({ atLeast: 1.15 }),
})

const sampleOf = (load: Throughput): Sample => ({
  value: load.tokensPerSecond,
  tokens: load.tokens,
  detail: { ttftMsMedian: median(load.ttftMs), promptTokens: load.promptTokens, failed: load.failed },
  failure: load.firstFailure,
})

/** One at a time on an otherwise idle server: time to first token, and prompt speed from it. */
const firstTokenSection = (count: number): Section => ({
  name: 'first token of a 1,000-token prompt',
  unit: 'ms',
  seed: 50_000,
  async run(client, seed) {
    const answers: Answer[] = []
    for (let index = 0; index < count; index += 1)
      answers.push(await sendChat(client, { prompt: wordsOf(seed * 100 + index, 955), tokens: 2 }))
    const load = throughputOf(answers, 1)
    const value = median(load.ttftMs)
    const promptTokensEach = load.promptTokens / Math.max(1, answers.length)
    return {
      value,
      tokens: load.promptTokens,
      detail: { promptTokensEach, promptTokensPerSecond: (promptTokensEach / value) * 1_000 },
      failure: load.firstFailure,
    }
  },
  bound: () => ({ atMost: 1.1 }),
})

/** Four streams run; a 2,000-token prompt arrives: how long does any of them stand still until its first token is out? */
const gapSection = (): Section => ({
  name: 'longest gap of 4 streams while a 2,000-token prompt arrives',
  unit: 'ms',
  seed: 60_000,
  async run(client, seed) {
    const running = Array.from({ length: 4 }, (_, index) =>
      sendChat(client, { prompt: question(seed * 100 + index), tokens: 256 }),
    )
    // The streams' own recorders cannot be read before they end, so a ninth of their time is let pass by a short request.
    await sendChat(client, { prompt: question(seed * 100 + 50), tokens: 24 })
    const long = await sendChat(client, { prompt: wordsOf(seed * 100 + 60, 1_950), tokens: 4 })
    const answers = await Promise.all(running)
    const until = long.firstAt ?? long.endedAt
    const worst = Math.max(
      ...answers.map((answer) => {
        const times = answer.contentAt.filter((at) => at >= long.startedAt - 200 && at <= until + 200)
        return Math.max(0, ...gaps(times))
      }),
    )
    const failed = [...answers, long].find((answer) => !isComplete(answer))
    return {
      value: worst,
      tokens: [...answers, long].reduce((total, answer) => total + answer.contentAt.length, 0),
      detail: { longFirstTokenMs: until - long.startedAt, longPromptTokens: contentOf(long).promptTokens },
      failure: failed === undefined ? null : `status ${failed.status}: ${failed.body.slice(0, 200)}`,
    }
  },
  bound: () => ({ atMost: 1.2 }),
})
