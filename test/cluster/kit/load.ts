/**
 * Load on an OpenAI endpoint while something happens to it: requests at a fixed rate and long streams that are begun again when
 * they end. What counts as a failure is what a client would call one: an error status, a broken connection, a stream without its
 * last word.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export interface LoadOptions {
  readonly url: string
  readonly model: string
  readonly requestsPerSecond: number
  readonly requestTokens: number
  readonly streams: number
  readonly streamTokens: number
}

export interface LoadResult {
  readonly answered: number
  readonly streamsEnded: number
  /** One line each, at most a hundred. */
  readonly failures: readonly string[]
}

const failuresMax = 100

export class Load {
  readonly #options: LoadOptions
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []
  #answered = 0
  #streamsEnded = 0
  readonly #failures: string[] = []

  constructor(options: LoadOptions) {
    this.#options = options
    this.#running.push(this.#keepRate())
    for (let index = 0; index < options.streams; index += 1) this.#running.push(this.#keepStreaming(index))
  }

  get failures(): readonly string[] {
    return this.#failures
  }

  /** Starts nothing new, waits for everything that runs. */
  async end(): Promise<LoadResult> {
    this.#stop.abort()
    await Promise.all(this.#running)
    return { answered: this.#answered, streamsEnded: this.#streamsEnded, failures: this.#failures }
  }

  async #keepRate(): Promise<void> {
    const { requestsPerSecond, requestTokens } = this.#options
    const startedAt = performance.now()
    for (let sent = 0; !this.#stop.signal.aborted; sent += 1) {
      const dueMs = startedAt + (sent * 1_000) / requestsPerSecond - performance.now()
      if (dueMs > 0) await sleep(dueMs)
      this.#running.push(
        this.#count(`request ${sent}`, this.#ask(requestTokens, false)).then((good) => {
          if (good) this.#answered += 1
        }),
      )
    }
  }

  async #keepStreaming(index: number): Promise<void> {
    for (let round = 0; !this.#stop.signal.aborted; round += 1) {
      const good = await this.#count(`stream ${index}.${round}`, this.#ask(this.#options.streamTokens, true))
      if (good) this.#streamsEnded += 1
      // A router that refuses everything must not turn this into a storm.
      else await sleep(200)
    }
  }

  async #count(what: string, asked: Promise<string | null>): Promise<boolean> {
    const startedAt = performance.now()
    const failure = await asked
    if (failure === null) return true
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
    if (this.#failures.length < failuresMax) this.#failures.push(`${what} after ${seconds} s: ${failure}`)
    return false
  }

  /** What went wrong, or null. */
  async #ask(tokens: number, stream: boolean): Promise<string | null> {
    const { url, model } = this.#options
    const messages = [{ role: 'user', content: 'Count from one to a hundred.' }]
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages, max_tokens: tokens, temperature: 0, ignore_eos: true, stream }),
        signal: AbortSignal.timeout(180_000),
      })
      const text = await response.text()
      if (response.status !== 200) return `${response.status} ${text.slice(0, 300)}`
      const isWhole = stream
        ? text.trimEnd().endsWith('data: [DONE]') && !text.includes('"error"')
        : text.includes('"finish_reason"')
      return isWhole ? null : `cut short: …${text.slice(-300)}`
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
      return `${error instanceof Error ? error.message : String(error)}${cause}`
    }
  }
}
