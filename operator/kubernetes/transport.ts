/**
 * One HTTP request to the API server, and nothing more: no retry, no meaning of a status.
 *
 * `beforeSend` runs once the connection stands, in the same turn of the event loop in which the bytes go out; when it throws,
 * nothing is sent. That is where a leader's right to write is checked: a process that was frozen between its decision and the
 * send must not write when it thaws.
 */
import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'
import { version } from '#runtime/version.ts'

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
  /** Until the answer is complete; of a stream, until it begins. */
  readonly timeoutMs: number
  readonly beforeSend?: () => void
  readonly signal?: AbortSignal
}

export interface ApiAnswer {
  readonly status: number
  readonly retryAfterMs: number | null
  readonly body: string
}

export type ApiStream =
  | { readonly kind: 'open'; readonly chunks: AsyncIterable<Buffer>; close(): void }
  | ({ readonly kind: 'refused' } & ApiAnswer)

export interface Transport {
  /** Rejects with `Failure('cluster-unavailable')` where no answer came. */
  send(request: ApiRequest): Promise<ApiAnswer>
  /** A watch. Its iteration ends when the server ends it, and throws when the connection breaks. */
  open(request: ApiRequest): Promise<ApiStream>
  close(): void
}

export interface Access {
  readonly server: URL
  /** What authenticates a request, as of now: tokens are renewed behind it. `fresh`: the last one was refused. */
  credentials(fresh: boolean): Promise<Credentials>
}
export interface Credentials {
  readonly headers: Readonly<Record<string, string>>
  readonly agent: http.Agent | https.Agent
}

const userAgent = `paceline-operator/${version}`
/** An answer longer than this is not read: a page of 500 of the largest objects we own stays far below. */
const answerBytesMax = 256 * 1024 * 1024

export function createTransport(access: Access, clock: Clock): Transport {
  return new HttpTransport(access, clock)
}

class HttpTransport implements Transport {
  readonly #access: Access
  readonly #clock: Clock
  readonly #closing = new AbortController()

  constructor(access: Access, clock: Clock) {
    this.#access = access
    this.#clock = clock
  }

  async send(request: ApiRequest): Promise<ApiAnswer> {
    const first = await this.#ask(request, false)
    // The token may have been replaced since it was read.
    return first.status === 401 ? this.#ask(request, true) : first
  }

  async open(request: ApiRequest): Promise<ApiStream> {
    const response = await this.#begin(request, false, () => undefined)
    if (response.statusCode !== 200) return { kind: 'refused', ...(await readAnswer(response, request)) }
    return {
      kind: 'open',
      chunks: response as AsyncIterable<Buffer>,
      close: () => void response.destroy(),
    }
  }

  close(): void {
    this.#closing.abort()
  }

  async #ask(request: ApiRequest, fresh: boolean): Promise<ApiAnswer> {
    let destroy: ((error: Error) => void) | null = null
    const timer = this.#clock.after(request.timeoutMs, () => destroy?.(slow(request)))
    try {
      const response = await this.#begin(request, fresh, (cut) => (destroy = cut))
      destroy = (error) => response.destroy(error)
      return await readAnswer(response, request)
    } finally {
      timer.cancel()
    }
  }

  async #begin(
    request: ApiRequest,
    fresh: boolean,
    onRequest: (cut: (error: Error) => void) => void,
  ): Promise<IncomingMessage> {
    const { headers, agent } = await this.#access.credentials(fresh)
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = this.#create(request, headers, agent)
    const timer = this.#clock.after(request.timeoutMs, () => outgoing.destroy(slow(request)))
    const onAbort = () => outgoing.destroy(new Failure('draining', `${request.method} ${request.path} was given up`))
    for (const signal of [request.signal, this.#closing.signal]) {
      if (signal?.aborted) onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
    }
    const settle = () => timer.cancel()
    outgoing.once('close', () => {
      for (const signal of [request.signal, this.#closing.signal]) signal?.removeEventListener('abort', onAbort)
    })
    outgoing.once('response', (response) => {
      settle()
      resolve(response)
    })
    outgoing.on('error', (error) => {
      settle()
      reject(error instanceof Failure ? error : unreachable(request, this.#access.server, error))
    })
    onRequest((error) => outgoing.destroy(error))
    outgoing.once('socket', (socket) => whenConnected(socket, () => finish(outgoing, request)))
    return promise
  }

  #create(request: ApiRequest, credentials: Readonly<Record<string, string>>, agent: http.Agent): ClientRequest {
    const { server } = this.#access
    const { method, body, contentType } = request
    const headers: Record<string, string | number> = {
      ...credentials,
      accept: 'application/json',
      'user-agent': userAgent,
    }
    if (body !== undefined) {
      headers['content-type'] = contentType ?? 'application/json'
      headers['content-length'] = Buffer.byteLength(body)
    }
    const options: RequestOptions = { method, headers, agent }
    const url = new URL(`${server.pathname.replace(/\/$/, '')}${request.path}`, server)
    return server.protocol === 'http:' ? http.request(url, options) : https.request(url, options)
  }
}

function whenConnected(socket: Socket, action: () => void): void {
  if (!socket.connecting && !isHandshaking(socket)) return action()
  socket.once(isTls(socket) ? 'secureConnect' : 'connect', action)
}

const isTls = (socket: Socket): socket is TLSSocket => 'encrypted' in socket
/** A TLS socket that is connected but not yet through its handshake has no protocol yet. */
const isHandshaking = (socket: Socket) => isTls(socket) && socket.getProtocol() === null

function finish(outgoing: ClientRequest, request: ApiRequest): void {
  try {
    request.beforeSend?.()
  } catch (error) {
    outgoing.destroy(error instanceof Error ? error : new Error(String(error)))
    return
  }
  outgoing.end(request.body)
}

async function readAnswer(response: IncomingMessage, request: ApiRequest): Promise<ApiAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > answerBytesMax) throw new Error(`its answer is longer than ${answerBytesMax} bytes`)
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    throw unreachable(request, null, error instanceof Error ? error : new Error(String(error)))
  }
  const after = Number(response.headers['retry-after'])
  return {
    status: response.statusCode ?? 0,
    retryAfterMs: Number.isFinite(after) && response.headers['retry-after'] !== undefined ? after * 1_000 : null,
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

function slow({ method, path, timeoutMs }: ApiRequest): Failure {
  const message = `the API server did not answer ${method} ${path} within ${Math.round(timeoutMs)} ms`
  return new Failure('cluster-unavailable', message, { retry: { kind: 'after', afterMs: 1_000 } })
}

function unreachable({ method, path }: ApiRequest, server: URL | null, cause: Error): Failure {
  const where = server === null ? '' : ` at ${server.origin}`
  const message = `the API server${where} cannot be reached for ${method} ${path}: ${cause.message}; is it running, and may this pod reach it?`
  return new Failure('cluster-unavailable', message, { retry: { kind: 'after', afterMs: 1_000 }, cause })
}
