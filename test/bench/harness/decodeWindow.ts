/**
 * Tokens over time of streams that run side by side on a real engine, seen where it computes: from the step in which all of them run until
 * so many tokens were gained. Prompts, and the thinning out at the end, are outside of it.
 *
 * Each decode is kept with its shape: on a machine that stalls now and then, what decodes of one shape usually take says more than what
 * these few took (`steadyMs`).
 */
import type { BatchSpan, ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { median, sum } from './statistics.ts'

export interface WindowOptions {
  readonly streams: number
  /** Of each stream: it runs once these are computed. */
  readonly promptTokens: number
  /** Gained by all streams together. */
  readonly tokens: number
}

export interface DecodeTime {
  /** Tokens of each sequence. */
  readonly shape: string
  ms: number
}

export interface WindowPace {
  readonly tokens: number
  readonly ms: number
  readonly decodes: readonly DecodeTime[]
}

/** For windows of one kind: what each would have taken, had every decode taken the median of its shape. What is between decodes stays. */
export function steadyMs(windows: readonly WindowPace[]): number[] {
  const shapes = Map.groupBy(
    windows.flatMap(({ decodes }) => decodes),
    ({ shape }) => shape,
  )
  const usual = new Map([...shapes].map(([shape, decodes]) => [shape, median(decodes.map(({ ms }) => ms))]))
  return windows.map(({ ms, decodes }) => ms + sum(decodes.map((decode) => (usual.get(decode.shape) ?? 0) - decode.ms)))
}

interface Open extends WindowOptions {
  readonly pace: PromiseWithResolvers<WindowPace>
  start: { readonly positions: number; readonly at: number } | null
  readonly decodes: DecodeTime[]
}

export class DecodeWindow {
  #open: Open | null = null

  /** Looks at every batch of `runner` from now on. */
  constructor(runner: ModelRunner) {
    const decode = runner.decode.bind(runner)
    runner.decode = async (spans, options) => {
      const timed = this.#see(spans)
      const result = await decode(spans, options)
      if (timed !== null && result.kind === 'decoded') timed.ms = result.decodeMs
      return result
    }
  }

  /** The next window: open it before the streams are begun. Rejects where one of them ends inside of it. */
  next(options: WindowOptions): Promise<WindowPace> {
    const pace = Promise.withResolvers<WindowPace>()
    this.#open = { ...options, pace, start: null, decodes: [] }
    return pace.promise
  }

  /** The decode that is about to begin, where it counts. */
  #see(spans: readonly BatchSpan[]): DecodeTime | null {
    const open = this.#open
    if (open === null) return null
    const areRunning = spans.length === open.streams && spans.every(({ position }) => position >= open.promptTokens)
    if (!areRunning) {
      if (open.start !== null) open.pace.reject(new Error('a stream ended inside of its window: its text is too short'))
      return null
    }
    const at = performance.now()
    const positions = sum(spans.map(({ position }) => position))
    open.start ??= { positions, at }
    const tokens = positions - open.start.positions
    if (tokens >= open.tokens) {
      this.#open = null
      open.pace.resolve({ tokens, ms: at - open.start.at, decodes: open.decodes })
      return null
    }
    const decode = { shape: spans.map((span) => span.tokens.length).join(' '), ms: 0 }
    open.decodes.push(decode)
    return decode
  }
}
