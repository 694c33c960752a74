/**
 * Sockets and their limits, nothing else: `routes.ts` says which path goes where.
 *
 * A connection that sends its head or body too slowly, opens and stays silent, or does not read, is ended by a limit of its own.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { RouterConfig } from '#contracts/routerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { Tracer } from '#runtime/tracing.ts'
import { StallWatch } from './backpressure.ts'
import { AnsweringSockets, answerClientError } from './clientError.ts'
import type { RouterMetrics } from './metrics.ts'
import type { Router } from './router.ts'
import { createHandler } from './routes.ts'

export interface HttpOptions {
  readonly router: Router
  readonly config: RouterConfig
  readonly clock: Clock
  readonly log: Log
  readonly metrics: RouterMetrics
  readonly secondsNow: () => number
  /** Null or absent: nothing is traced. */
  readonly tracer?: Tracer | null
}

export interface HttpServer {
  readonly port: number
  readonly url: string
  /** Responses whose client does not read at present. */
  readonly blockedResponses: number
  /** Takes no further connection; closes those that are idle, and the others once their answer is sent. */
  close(): Promise<void>
}

const sweepMs = 1_000
/** For the last bytes of answers on their way; then connections are cut. */
const closeMsMax = 2_000

/** Throws `Failure('invalid-configuration')` where the port cannot be had. */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { config, clock, tracer = null } = options
  const stalls = new StallWatch({ clock, stallMsMax: config.limits.slowReaderStallMs })
  const server = createServer(serverOptions(config))
  const answering = new AnsweringSockets()
  server.on('request', createHandler(options, { ...options, accessLog: config.accessLog, tracer, stalls, answering }))
  server.on('clientError', (error, socket) => answerClientError(error, socket, answering.has(socket)))
  server.maxConnections = config.limits.connectionsMax
  const port = await listen(server, config)
  const timer = clock.every(sweepMs, () => stalls.sweep())
  return {
    port,
    url: `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`,
    get blockedResponses() {
      return stalls.size
    },
    async close() {
      timer.cancel()
      const force = clock.after(closeMsMax, () => server.closeAllConnections())
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
      force.cancel()
    },
  }
}

function serverOptions(config: RouterConfig) {
  return {
    maxHeaderSize: limits.http.headerBytesMax,
    headersTimeout: config.limits.headersTimeoutMs,
    requestTimeout: config.limits.requestTimeoutMs,
    keepAliveTimeout: config.limits.idleTimeoutMs,
    connectionsCheckingInterval: sweepMs,
    highWaterMark: limits.http.slowReaderBytesMax,
    // Refused in our own error shape instead (`routes.ts`).
    requireHostHeader: false,
  }
}

/** The port that was opened. */
function listen(server: Server, { host, port }: RouterConfig): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  server.once('error', (cause) => {
    const message = `cannot listen on ${host}:${port}: ${cause.message}; free the port or choose another`
    reject(new Failure('invalid-configuration', message, { cause }))
  })
  server.listen(port, host, () => {
    const address = server.address()
    assert(address !== null && typeof address === 'object', 'a listening TCP server has an address')
    resolve(address.port)
  })
  return promise
}
