/**
 * Access from a pod by its own service account: the address from the environment, the authority and the token from files that the
 * kubelet keeps fresh. By hand, because the client library that also could costs 85 MiB and most of a second in every operator.
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import https from 'node:https'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'
import { agentOptions, keptCredentials } from './credentials.ts'
import type { Access, Credentials } from './transport.ts'

type Environment = Readonly<Record<string, string | undefined>>

const folder = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Null: this is no pod with a service account. */
export function inClusterAccess(environment: Environment, clock: Clock, files: string = folder): Access | null {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment
  const authority = host === undefined ? null : readAuthority(join(files, 'ca.crt'))
  if (host === undefined || authority === null) return null
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`)
  const agent = new https.Agent({ ...agentOptions, ca: authority })
  return { server, credentials: keptCredentials(() => readToken(join(files, 'token'), agent), clock) }
}

function readAuthority(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No service account is mounted here: a kubeconfig must say where the cluster is.
    return null
  }
}

async function readToken(path: string, agent: https.Agent): Promise<Credentials> {
  try {
    const token = await readFile(path, 'utf8')
    return { headers: { authorization: `Bearer ${token.trim()}` }, agent }
  } catch (cause) {
    const message = `the token of the service account cannot be read: ${String(cause)}; is automountServiceAccountToken on?`
    throw new Failure('cluster-unavailable', message, { retry: { kind: 'after', afterMs: 5_000 }, cause })
  }
}
