/** Loopback ports: whether one is free, and some that are. Another process may take one in between; its owner then says so. */
import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { Failure } from '#contracts/failure.ts'

/** Throws a Failure that says what to do when nothing can listen there. */
export async function assertPortFree(host: string, port: number): Promise<void> {
  try {
    await close(await listen(host, port))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    const why: Readonly<Record<string, string>> = {
      EADDRINUSE: `port ${port} on ${host} is in use by another program; end it or choose another: npm start -- --port ${port === 65_535 ? port - 1 : port + 1}`,
      EACCES: `port ${port} needs more rights than this user has; choose one above 1023: npm start -- --port 8080`,
      EADDRNOTAVAIL: `this machine has no address ${host}; --host 127.0.0.1 serves this machine, 0.0.0.0 its network`,
    }
    const fallback = `cannot listen on ${host}:${port}: ${(cause as Error).message}`
    throw new Failure('invalid-configuration', why[code ?? ''] ?? fallback, { cause })
  }
}

/**
 * Below what systems give to outgoing connections: until its owner listens, nobody's connection can take such a port, and a client
 * that tries a server which is away cannot meet itself.
 */
const chosenFrom = { first: 20_000, end: 30_000, triesMax: 100 }

/** All held at once before any is let go, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listenSomewhere))
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map(close))
  return ports
}

async function listenSomewhere(): Promise<Server> {
  for (let tries = 0; tries < chosenFrom.triesMax; tries += 1) {
    try {
      return await listen('127.0.0.1', randomInt(chosenFrom.first, chosenFrom.end))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    }
  }
  return listen('127.0.0.1', 0)
}

function listen(host: string, port: number): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>()
  const server = createServer()
  server.once('error', reject)
  server.listen({ host, port, exclusive: true }, () => resolve(server))
  return promise
}

function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  return promise
}
