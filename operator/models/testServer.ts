/**
 * An HTTP server for tests of downloads: serves one content, and misbehaves in a chosen way. Loopback, system port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Misbehaviour {
  /** Answers this status. */
  readonly status?: number
  /** Breaks the connection after this many bytes of each answer, this many times. */
  readonly breakAfterBytes?: number
  readonly breaks?: number
  /** Sends this many bytes and then nothing, with the connection open. */
  readonly pauseAfterBytes?: number
  readonly ignoreRange?: boolean
  /** Serves this instead, this many times. */
  readonly wrongContent?: Buffer
  readonly wrongTimes?: number
  /** Sends headers and then nothing. */
  readonly stalls?: boolean
  readonly noLength?: boolean
}

export interface TestServer extends AsyncDisposable {
  readonly url: string
  /** `Range` of each request, `-` where it had none. */
  readonly ranges: string[]
  readonly headers: IncomingMessage['headers'][]
}

export async function serveContent(content: Buffer, misbehaviour: Misbehaviour = {}): Promise<TestServer> {
  const ranges: string[] = []
  const headers: IncomingMessage['headers'][] = []
  const server = createServer((request, response) => {
    ranges.push(request.headers.range ?? '-')
    headers.push(request.headers)
    answer(content, misbehaviour, { request, response, count: ranges.length })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/model.gguf`,
    ranges,
    headers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(
  right: Buffer,
  misbehaviour: Misbehaviour,
  { request, response, count }: { request: IncomingMessage; response: ServerResponse; count: number },
): void {
  const { wrongContent, wrongTimes = Number.POSITIVE_INFINITY, breaks = Number.POSITIVE_INFINITY } = misbehaviour
  const content = wrongContent !== undefined && count <= wrongTimes ? wrongContent : right
  if (misbehaviour.status !== undefined) return void response.writeHead(misbehaviour.status).end('no')
  const from = misbehaviour.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  if (from > 0 && from >= content.length)
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
  const body = content.subarray(from)
  const range = from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}
  const length = misbehaviour.noLength ? {} : { 'content-length': body.length }
  response.writeHead(from > 0 ? 206 : 200, { ...length, ...range })
  if (misbehaviour.stalls) return response.flushHeaders()
  if (misbehaviour.pauseAfterBytes !== undefined)
    return void response.write(body.subarray(0, misbehaviour.pauseAfterBytes))
  const limit = count <= breaks ? misbehaviour.breakAfterBytes : undefined
  if (limit === undefined || limit >= body.length) return void response.end(body)
  response.write(body.subarray(0, limit), () => setImmediate(() => response.destroy()))
}
