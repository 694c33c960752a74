/**
 * Hostile requests that no HTTP client would send, as bytes: conflicting lengths, broken UTF-8, floods, cut bodies, deep JSON.
 *
 * Each says which answers are right; no answer at all is right only where the protocol leaves no other way (the connection is
 * closed). None may take longer than a second except those that wait for a timeout by design (`halfOpen`).
 */
import { connect } from 'node:net'

export interface RawRequest {
  readonly name: string
  readonly bytes: (target: { host: string; key?: string; model: string }) => Buffer
  readonly statuses: readonly number[]
}

export interface RawOutcome {
  readonly name: string
  /** 0: closed without an answer. */
  readonly status: number
  readonly retryAfter: boolean
  readonly tookMs: number
  readonly timedOut: boolean
  readonly body: string
}

const post = (headers: readonly string[], body: string | Buffer, path = '/v1/chat/completions') => {
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    'Connection: close',
    ...headers,
    '',
    '',
  ]
  return Buffer.concat([Buffer.from(head.join('\r\n')), Buffer.from(body)])
}
const sized = (body: string | Buffer, path?: string) => post([`Content-Length: ${Buffer.byteLength(body)}`], body, path)
const chat = (model: string, content: string) =>
  `{"model":"${model}","max_tokens":1,"messages":[{"role":"user","content":${content}}]}`
const deep = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

export const rawRequests: readonly RawRequest[] = [
  { name: 'broken JSON', bytes: () => sized('{"model": "x", "messages": ['), statuses: [400] },
  { name: 'no body', bytes: () => sized(''), statuses: [400] },
  { name: 'a bare number', bytes: () => sized('12'), statuses: [400] },
  { name: 'a bare string of 500 kB', bytes: () => sized(`"${'x'.repeat(500_000)}"`), statuses: [400] },
  { name: '10,000-deep arrays', bytes: () => sized(deep(10_000, '[', ']')), statuses: [400] },
  {
    name: '10,000-deep objects',
    bytes: () => sized(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`),
    statuses: [400],
  },
  { name: '300,000-deep arrays', bytes: () => sized(deep(300_000, '[', ']')), statuses: [400] },
  {
    name: '10,000-deep schema',
    bytes: ({ model }) => {
      const schema = `${'{"type":"object","properties":{"a":'.repeat(10_000)}{}${'}}'.repeat(10_000)}`
      return sized(
        `{"model":"${model}","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":${schema}}}}`,
      )
    },
    statuses: [400],
  },
  {
    name: '__proto__ keys',
    bytes: ({ model }) =>
      sized(`{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},${chat(model, '"x"').slice(1)}`),
    statuses: [200],
  },
  {
    name: 'invalid UTF-8',
    bytes: ({ model }) => {
      const [head = '', rest = ''] = chat(model, '"\u0001"').split('\u0001')
      return sized(
        Buffer.concat([Buffer.from(head), Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]), Buffer.from(rest)]),
      )
    },
    statuses: [400],
  },
  { name: 'a lone surrogate escape', bytes: ({ model }) => sized(chat(model, '"\\ud800"')), statuses: [200, 400] },
  { name: 'NUL characters', bytes: ({ model }) => sized(chat(model, '"a\\u0000b"')), statuses: [200, 400] },
  {
    name: 'a number of 5,000 digits',
    bytes: ({ model }) => sized(`{"max_tokens":${'9'.repeat(5_000)},${chat(model, '"x"').slice(1)}`),
    statuses: [200, 400],
  },
  {
    name: '1e400',
    bytes: ({ model }) => sized(`{"model":"${model}","temperature":1e400,"messages":[{"role":"user","content":"x"}]}`),
    statuses: [400],
  },
  { name: 'body over the limit', bytes: () => sized(`{"model":"${'x'.repeat(1_100_000)}"}`), statuses: [413] },
  {
    name: 'a length over the limit, no body',
    bytes: () => post(['Content-Length: 99999999999'], ''),
    statuses: [413, 400],
  },
  { name: 'negative length', bytes: () => post(['Content-Length: -5'], '{}'), statuses: [400] },
  { name: 'two lengths', bytes: () => post(['Content-Length: 2', 'Content-Length: 20'], '{}'), statuses: [400] },
  {
    name: 'length and chunked',
    bytes: () => post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n'),
    statuses: [400],
  },
  {
    name: 'chunked twice',
    bytes: () => post(['Transfer-Encoding: chunked, chunked'], '0\r\n\r\n'),
    statuses: [400, 501],
  },
  {
    name: 'bad chunk size',
    bytes: () => post(['Transfer-Encoding: chunked'], 'ZZ\r\n{}\r\n0\r\n\r\n'),
    statuses: [400],
  },
  {
    name: 'a space before the colon',
    bytes: () => Buffer.from('POST /v1/chat/completions HTTP/1.1\r\nHost : x\r\nContent-Length: 2\r\n\r\n{}'),
    statuses: [400],
  },
  {
    name: 'no host',
    bytes: () => Buffer.from('POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}'),
    statuses: [400],
  },
  {
    name: 'header flood',
    bytes: () =>
      Buffer.from(
        `GET /v1/models HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 3_000 }, (_, i) => `x-${i}: ${i}`).join('\r\n')}\r\n\r\n`,
      ),
    statuses: [431, 400],
  },
  {
    name: 'a 100 kB header',
    bytes: () => Buffer.from(`GET /v1/models HTTP/1.1\r\nHost: x\r\nx-a: ${'a'.repeat(100_000)}\r\n\r\n`),
    statuses: [431],
  },
  {
    name: 'a 100 kB path',
    bytes: () => Buffer.from(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
    statuses: [431, 414, 404],
  },
  { name: 'not HTTP at all', bytes: () => Buffer.from([0x16, 0x03, 0x01, 0x00, 0xff, 0x01, 0x00]), statuses: [400, 0] },
  { name: 'HTTP/2 preface', bytes: () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), statuses: [400, 505, 0] },
  {
    name: 'unknown method',
    bytes: () => Buffer.from('BREW /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    statuses: [400, 405, 501],
  },
  {
    name: 'wrong method',
    bytes: () => Buffer.from('DELETE /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    statuses: [404, 405],
  },
  {
    name: 'broken percent encoding',
    bytes: () => Buffer.from('GET /v1/models/%E0%A4%A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    statuses: [400, 404],
  },
  {
    name: 'path traversal',
    bytes: () => Buffer.from('GET /v1/models/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    statuses: [400, 404],
  },
  { name: 'UTF-16 body', bytes: ({ model }) => sized(Buffer.from(chat(model, '"x"'), 'utf16le')), statuses: [400] },
  {
    name: 'gzip said, plain sent',
    bytes: ({ model }) =>
      post(['Content-Encoding: gzip', `Content-Length: ${chat(model, '"x"').length}`], chat(model, '"x"')),
    statuses: [400, 415],
  },
  { name: 'XML', bytes: () => post(['Content-Length: 4'], '<a/>'), statuses: [400, 415] },
  {
    name: 'an illegal x-request-id',
    bytes: ({ model }) =>
      post([`x-request-id: ${'é>.*'.repeat(20)}`, `Content-Length: ${chat(model, '"x"').length}`], chat(model, '"x"')),
    statuses: [200, 400],
  },
  {
    name: 'a header injection in x-request-id',
    bytes: ({ model }) =>
      post(['x-request-id: a%0d%0aset-cookie: b', `Content-Length: ${chat(model, '"x"').length}`], chat(model, '"x"')),
    statuses: [200, 400],
  },
  { name: 'a JSON body of 1 MB of spaces', bytes: () => sized(' '.repeat(1_000_000)), statuses: [400] },
  {
    name: '60,000 keys',
    bytes: () => sized(`{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join(',')}}`),
    statuses: [400],
  },
]

/** Sends bytes, reads until the status line or the end. */
export function sendRaw(
  { host, port }: { host: string; port: number },
  request: { name: string; bytes: Buffer },
  timeoutMs = 5_000,
): Promise<RawOutcome> {
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const socket = connect(port, host)
    let text = ''
    const end = (timedOut: boolean) => {
      socket.destroy()
      resolve({
        name: request.name,
        status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0),
        retryAfter: /^retry-after:/im.test(text),
        tookMs: performance.now() - startedAt,
        timedOut,
        body: text.split('\r\n\r\n')[1]?.slice(0, 500) ?? '',
      })
    }
    socket.setTimeout(timeoutMs, () => end(true))
    socket.on('error', () => end(false))
    socket.on('close', () => end(false))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      // Headers are in: what follows is only of interest where it comes at once.
      if (text.includes('\r\n\r\n')) setImmediate(() => end(false))
    })
    socket.write(request.bytes)
  })
}

/** Connections that start a request and never finish it; resolves with a function that closes them. */
export async function halfOpen(to: { host: string; port: number }, count: number): Promise<() => void> {
  const starts = [
    '',
    'POST /v1/chat/completions HTTP/1.1\r\n',
    'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"model"',
  ]
  const sockets = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const socket = connect(to.port, to.host)
      socket.on('error', () => undefined)
      return new Promise<typeof socket>((resolve) => {
        socket.once('connect', () => {
          socket.write(starts[index % starts.length] ?? '')
          resolve(socket)
        })
        socket.once('close', () => resolve(socket))
      })
    }),
  )
  return () => sockets.forEach((socket) => socket.destroy())
}
