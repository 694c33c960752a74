/**
 * A small server in a pod, for the tests of the kit: who it is, a name looked up, a page fetched, a line of its own on SIGTERM.
 * Needs nothing but Node; runs from an image without anything else in it.
 */
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:http'
import { hostname } from 'node:os'

const server = createServer((request, response) => {
  const [, verb = '', ...rest] = (request.url ?? '').split('/')
  answer(verb, decodeURIComponent(rest.join('/'))).then(
    (text) => response.end(`${text}\n`),
    (error: unknown) => response.writeHead(500).end(String(error)),
  )
})
server.listen(8_080, () => console.log('listening'))
process.on('SIGTERM', () => {
  console.log('leaving')
  process.exit(0)
})

async function answer(verb: string, argument: string): Promise<string> {
  switch (verb) {
    case 'lookup':
      return (await lookup(argument)).address
    case 'fetch':
      return (await fetch(argument, { signal: AbortSignal.timeout(5_000) })).text()
    default:
      return hostname()
  }
}
