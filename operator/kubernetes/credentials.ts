/**
 * What every way to the API server has in common: credentials that are read again now and then, and connections that are used
 * again.
 */
import type { Clock } from '#runtime/clock.ts'
import type { Access, Credentials } from './transport.ts'

/** A token is replaced long before it ends; the clients of Kubernetes read it about every minute. */
const credentialsMs = 30_000
const socketsMax = 32

export const agentOptions = {
  keepAlive: true,
  keepAliveMsecs: 10_000,
  maxSockets: socketsMax,
  maxFreeSockets: socketsMax,
} as const

/** One reading serves whoever asks within half a minute; one that failed serves nobody else. */
export function keptCredentials(read: () => Promise<Credentials>, clock: Clock): Access['credentials'] {
  let known: { readonly at: number; readonly credentials: Promise<Credentials> } | null = null
  return (fresh) => {
    const now = clock.now()
    if (known !== null && !fresh && now - known.at <= credentialsMs) return known.credentials
    const reading = { at: now, credentials: read() }
    known = reading
    reading.credentials.catch(() => {
      if (known === reading) known = null
    })
    return reading.credentials
  }
}
