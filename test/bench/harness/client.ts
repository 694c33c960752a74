/**
 * HTTP client for measurements: undici's lowest level, one time stamp per read, no JSON work while the clock runs.
 *
 * Frames are kept as they came and parsed only when somebody asks (`Answer.text()` …), so that the client's own CPU stays small
 * beside what it measures. It must never retry or hide an error: a lost frame is a result.
 */
import { type Dispatcher, Pool } from 'undici'
import { type Frame, isContentFrame, SseSplitter } from './sse.ts'

export interface Target {
  readonly name: string
  /** Origin, such as `http://127.0.0.1:8080`. */
  readonly url: string
  readonly model: string
  readonly headers?: Readonly<Record<string, string>>
  /** Fields this server needs beside the common ones (llama-server: `cache_prompt: false`). */
  readonly extra?: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly startedAt: number
  /** First frame with content; for a plain body, its first byte. */
  readonly firstAt: number | null
  /** Arrival of each content frame. */
  readonly contentAt: readonly number[]
  readonly endedAt: number
  readonly frames: readonly Frame[]
  /** The whole body of an answer that is not a stream. */
  readonly body: string
  /** `[DONE]` was seen. */
  readonly done: boolean
  readonly error: Error | null
}

export class HttpClient {
  readonly #pool: Pool
  readonly #target: Target

  constructor(target: Target, connectionsMax: number) {
    this.#target = target
    this.#pool = new Pool(target.url, {
      connections: connectionsMax,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 60_000,
    })
  }

  /** `signal` breaks the connection, as a client that leaves does. */
  post(path: string, body: Readonly<Record<string, unknown>> | string, signal?: AbortSignal): Promise<Answer> {
    const text =
      typeof body === 'string' ? body : JSON.stringify({ model: this.#target.model, ...body, ...this.#target.extra })
    return this.#send('POST', path, text, signal)
  }

  get(path: string): Promise<Answer> {
    return this.#send('GET', path, null)
  }

  #send(method: 'GET' | 'POST', path: string, body: string | null, signal?: AbortSignal): Promise<Answer> {
    const recorder = new Recorder()
    this.#pool.dispatch(
      {
        method,
        path,
        body,
        headers: { 'content-type': 'application/json', ...this.#target.headers },
      },
      recorder.handler(signal),
    )
    return recorder.answer
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

class Recorder {
  readonly #deferred = Promise.withResolvers<Answer>()
  readonly #splitter = new SseSplitter()
  readonly #startedAt = performance.now()
  readonly #contentAt: number[] = []
  readonly #chunks: Buffer[] = []
  #firstAt: number | null = null
  #status = 0
  #headers: Answer['headers'] = {}
  #isStream = false

  get answer(): Promise<Answer> {
    return this.#deferred.promise
  }

  handler(signal?: AbortSignal): Dispatcher.DispatchHandler {
    return {
      onRequestStart: (controller) => {
        const leave = () => controller.abort(new Error('client left'))
        if (signal?.aborted) leave()
        else signal?.addEventListener('abort', leave, { once: true })
      },
      onResponseStart: (_controller, status, headers) => {
        this.#status = status
        this.#headers = headers
        this.#isStream = String(headers['content-type'] ?? '').startsWith('text/event-stream')
      },
      onResponseData: (_controller, chunk) => this.#data(chunk),
      onResponseEnd: () => this.#end(null),
      onResponseError: (_controller, error) => this.#end(error),
    }
  }

  #data(chunk: Buffer): void {
    const now = performance.now()
    if (!this.#isStream) {
      this.#firstAt ??= now
      this.#chunks.push(chunk)
      return
    }
    for (const frame of this.#splitter.add(chunk, now)) {
      if (!isContentFrame(frame.data)) continue
      this.#firstAt ??= now
      this.#contentAt.push(now)
    }
  }

  #end(error: Error | null): void {
    this.#deferred.resolve({
      status: this.#status,
      headers: this.#headers,
      startedAt: this.#startedAt,
      firstAt: this.#firstAt,
      contentAt: this.#contentAt,
      endedAt: performance.now(),
      frames: this.#splitter.frames,
      body: Buffer.concat(this.#chunks).toString('utf8'),
      done: this.#splitter.frames.at(-1)?.data === '[DONE]',
      error,
    })
  }
}
