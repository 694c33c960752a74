/**
 * The small HTTP server of workers and operators: `/livez`, `/readyz`, `/health`, `/healthz`, `/metrics`, `/version`, and
 * whatever JSON pages its owner adds. Not for users' requests: those have the router.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { version } from './version.ts'

export interface HealthOptions {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  live(): boolean
  ready(): boolean
  readonly metrics: { text(): Promise<string>; readonly contentType: string }
  /** Further read-only pages: path → value sent as JSON. */
  readonly pages?: Readonly<Record<string, () => unknown>>
}

export interface HealthServer {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/** Throws `Failure('invalid-configuration')` where the port is taken. */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      send(response, 500, 'text/plain', String(error))
    })
  })
  server.headersTimeout = limits.http.headersTimeoutMs
  server.requestTimeout = limits.http.requestTimeoutMs
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new Failure('invalid-configuration', `cannot listen on ${options.host}:${options.port}: ${cause.message}`, {
          cause,
        }),
      )
    })
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(options: HealthOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  const page = options.pages?.[path]
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', 'only GET')
  if (page !== undefined) return send(response, 200, 'application/json', JSON.stringify(page()))
  switch (path) {
    case '/livez':
    case '/health':
    case '/healthz':
      return sendState(response, options.live())
    case '/readyz':
      return sendState(response, options.ready())
    case '/version':
      return send(response, 200, 'application/json', JSON.stringify({ version }))
    case '/metrics':
      return send(response, 200, options.metrics.contentType, await options.metrics.text())
    default:
      return send(response, 404, 'text/plain', `no page ${path}`)
  }
}

function sendState(response: ServerResponse, good: boolean): void {
  send(response, good ? 200 : 503, 'text/plain', good ? 'ok' : 'not ready')
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
