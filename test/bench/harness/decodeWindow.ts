/**
 * Tokens over time of streams that run side by side on a real engine, seen where it computes: from the step in which all of them run until
 * so many tokens were gained. Prompts, and the thinning out at the end, are outside of it.
 */
import type { BatchSpan, ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { sum } from './statistics.ts'

export interface WindowOptions {
  readonly streams: number
  /** Of each stream: it runs once these are computed. */
  readonly promptTokens: number
  /** Gained by all streams together. */
  readonly tokens: number
}

export interface WindowPace {
  readonly tokens: number
  readonly steps: number
  readonly ms: number
}

interface Open extends WindowOptions {
  readonly pace: PromiseWithResolvers<WindowPace>
  start: { readonly positions: number; readonly at: number } | null
  steps: number
}

export class DecodeWindow {
  #open: Open | null = null

  /** Looks at every batch of `runner` from now on. */
  constructor(runner: ModelRunner) {
    const decode = runner.decode.bind(runner)
    runner.decode = (spans, options) => {
      this.#see(spans)
      return decode(spans, options)
    }
  }

  /** The next window: open it before the streams are begun. Rejects where one of them ends inside of it. */
  next(options: WindowOptions): Promise<WindowPace> {
    const pace = Promise.withResolvers<WindowPace>()
    this.#open = { ...options, pace, start: null, steps: 0 }
    return pace.promise
  }

  #see(spans: readonly BatchSpan[]): void {
    const open = this.#open
    if (open === null) return
    const areRunning = spans.length === open.streams && spans.every(({ position }) => position >= open.promptTokens)
    if (!areRunning) {
      if (open.start !== null) open.pace.reject(new Error('a stream ended inside of its window: its text is too short'))
      return
    }
    const at = performance.now()
    const positions = sum(spans.map(({ position }) => position))
    open.start ??= { positions, at }
    const tokens = positions - open.start.positions
    if (tokens < open.tokens) {
      open.steps += 1
      return
    }
    this.#open = null
    open.pace.resolve({ tokens, steps: open.steps, ms: at - open.start.at })
  }
}
