/**
 * The yardstick for the router: what somebody writes in an afternoon with express 5 and undici, written as well as that allows.
 *
 * Checks the key, parses the body, takes the least busy upstream, sends the body on, and passes the answer through as it comes.
 * No queue, no schema, no metrics, no cancel, no retry: everything the router does beyond this is what its ratio pays for.
 */
import type { AddressInfo } from 'node:net'
import express from 'express'
import { Pool } from 'undici'

const upstreams = (process.env['UPSTREAMS'] ?? '')
  .split(',')
  .filter((url) => url !== '')
  .map((url) => ({ pool: new Pool(url, { connections: 512, pipelining: 1 }), inFlight: 0 }))
const key = `Bearer ${process.env['API_KEY'] ?? 'test'}`

const app = express()
app.disable('x-powered-by')
app.disable('etag')
app.use(express.json({ limit: '1mb' }))

app.post('/v1/chat/completions', async (request, response) => {
  if (request.headers.authorization !== key) {
    response
      .status(401)
      .json({ error: { message: 'no such key', type: 'authentication_error', code: null, param: null } })
    return
  }
  const body: unknown = request.body
  const first = upstreams[0]
  if (first === undefined) throw new Error('no upstream')
  const upstream = upstreams.reduce((least, other) => (other.inFlight < least.inFlight ? other : least), first)
  upstream.inFlight += 1
  try {
    await upstream.pool.stream(
      {
        path: '/v1/chat/completions',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      },
      ({ statusCode, headers }) => {
        response.writeHead(statusCode, { 'content-type': String(headers['content-type'] ?? 'application/json') })
        return response
      },
    )
  } finally {
    upstream.inFlight -= 1
  }
})

const server = app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
server.keepAliveTimeout = 60_000
