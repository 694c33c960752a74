/**
 * The HTTP upstream of the thin proxy: answers chat completions at once, or streams numbered chunks at a fixed pace.
 *
 * One timer drives all streams, so that the mock's own cost per frame stays small. Prints its port once it listens.
 * Request fields: `x_chunks` and `x_pace_ms` choose the stream; everything else is ignored, as an engine would not.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as z from 'zod'

const Asked = z.object({
  stream: z.boolean().default(false),
  max_tokens: z.number().default(16),
  pace_ms: z.number().default(20),
})

const head = { id: 'chatcmpl-mock', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'mock' }
const frame = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })}\n\n`

interface Stream {
  readonly response: ServerResponse
  readonly chunks: number
  readonly paceMs: number
  nextAt: number
  sent: number
}

const streams = new Set<Stream>()

function tick(): void {
  const now = performance.now()
  for (const stream of streams) {
    if (now < stream.nextAt) continue
    stream.response.write(frame({ content: `t${stream.sent} ` }))
    stream.sent += 1
    stream.nextAt += stream.paceMs
    if (stream.sent < stream.chunks) continue
    streams.delete(stream)
    const usage = { prompt_tokens: 10, completion_tokens: stream.chunks, total_tokens: 10 + stream.chunks }
    stream.response.end(
      `${frame({}, 'length')}data: ${JSON.stringify({ ...head, choices: [], usage })}\n\ndata: [DONE]\n\n`,
    )
  }
}
setInterval(tick, 1)

function answer(body: string, response: ServerResponse): void {
  const asked = Asked.parse(JSON.parse(body))
  if (asked.stream) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    response.write(frame({ role: 'assistant', content: '' }))
    const stream = {
      response,
      chunks: asked.max_tokens,
      paceMs: asked.pace_ms,
      nextAt: performance.now() + asked.pace_ms,
      sent: 0,
    }
    streams.add(stream)
    response.on('close', () => streams.delete(stream))
    return
  }
  const content = Array.from({ length: asked.max_tokens }, (_, index) => `t${index}`).join(' ')
  const whole = {
    id: 'chatcmpl-mock',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'mock',
    choices: [{ index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'length' }],
    usage: { prompt_tokens: 10, completion_tokens: asked.max_tokens, total_tokens: 10 + asked.max_tokens },
  }
  const text = JSON.stringify(whole)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

const server = createServer((request: IncomingMessage, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => answer(Buffer.concat(chunks).toString('utf8') || '{}', response))
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
