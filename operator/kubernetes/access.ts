/**
 * How the API server is reached and who we are there: a kubeconfig file, the service account of the pod, or `KUBECONFIG`, read
 * by the client library (which also renews tokens and runs credential plugins).
 */
import http from 'node:http'
import https from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'
import { agentOptions, keptCredentials } from './credentials.ts'
import type { Access, Credentials } from './transport.ts'

/** Throws `Failure('invalid-configuration')` where nothing says how the cluster is reached. */
export function openAccess(kubeconfig: string | undefined, clock: Clock): Access {
  const config = load(kubeconfig)
  const cluster = config.getCurrentCluster()
  if (cluster === null)
    throw new Failure(
      'invalid-configuration',
      `no cluster to work in: ${kubeconfig ?? 'neither a service account nor KUBECONFIG'} names none; set platform.kubeconfig or run in a pod`,
    )
  const server = new URL(cluster.server)
  const agents = new Agents(server.protocol === 'http:')
  const readNow = () => read(config, agents, cluster.proxyUrl !== undefined)
  return { server, credentials: keptCredentials(readNow, clock) }
}

function load(kubeconfig: string | undefined): KubeConfig {
  const config = new KubeConfig()
  try {
    if (kubeconfig === undefined) config.loadFromDefault()
    else config.loadFromFile(kubeconfig)
  } catch (cause) {
    const message = `the kubeconfig ${kubeconfig ?? '(default)'} cannot be read: ${String(cause)}`
    throw new Failure('invalid-configuration', message, { cause })
  }
  return config
}

async function read(config: KubeConfig, agents: Agents, proxied: boolean): Promise<Credentials> {
  const options: https.RequestOptions = {}
  try {
    await config.applyToHTTPSOptions(options)
  } catch (cause) {
    const message = `no credentials for the API server: ${String(cause)}`
    throw new Failure('cluster-unavailable', message, { retry: { kind: 'after', afterMs: 5_000 }, cause })
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {}))
    if (typeof value === 'string') headers[name.toLowerCase()] = value
  if (typeof options.auth === 'string')
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
  const own = options.agent
  if (proxied && typeof own === 'object') return { headers, agent: own }
  return { headers, agent: agents.of(options) }
}

/** One agent as long as the certificates stay the same, so that connections are used again. */
class Agents {
  readonly #plain: boolean
  #known: { key: string; agent: http.Agent } | null = null

  constructor(plain: boolean) {
    this.#plain = plain
  }

  of(options: https.RequestOptions): http.Agent {
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options
    const identity = [ca, cert, key, pfx, passphrase, servername, rejectUnauthorized].map(String).join('\n')
    if (this.#known?.key === identity) return this.#known.agent
    const tls = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized }
    const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined))
    const agent = this.#plain ? new http.Agent(agentOptions) : new https.Agent({ ...agentOptions, ...given })
    this.#known = { key: identity, agent }
    return agent
  }
}
