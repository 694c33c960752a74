/**
 * An operator of this checkout as a process on the host, working in one namespace of a cluster through a kubeconfig, or by a service
 * account as it does in a pod.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { operatorConfigVariable } from '#contracts/operatorConfig.ts'
import { natsPasswordVariable } from '#contracts/workerConfig.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { freePort, type NatsServer } from '../integration/support/natsServer.ts'

export interface OperatorProcess {
  readonly child: ChildProcess
  readonly words: () => string
  page(path: string): Promise<string>
  end(signal?: NodeJS.Signals): Promise<void>
}

/** What a pod finds in its files and its environment. */
export interface Account {
  readonly token: string
  readonly authorityFile: string
  /** Of the API. */
  readonly server: URL
}

export interface OperatorPlace {
  /** An account: as a pod of the image, with its flags; root only. */
  readonly access: { readonly kubeconfig: string } | Account
  readonly namespace: string
  readonly nats: NatsServer
  readonly identity: string
  /** How long its lease lasts; short by default, so that tests of leadership are. */
  readonly leaseMs?: number
  /** More flags for node, such as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[]
}

const main = join(projectFolder, 'operator', 'main.ts')
/** As in images/operator.Containerfile. */
const imageFlags = [`--import=${join(projectFolder, 'runtime', 'earlySignals.ts')}`, '--max-semi-space-size=4']
/** The files of an account at their place, seen by this process alone. */
const asPod = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$AUTHORITY" /run/secrets/kubernetes.io/serviceaccount/ca.crt
printf %s "$TOKEN" > /run/secrets/kubernetes.io/serviceaccount/token
unset AUTHORITY TOKEN
exec "$@"`

export async function startOperatorProcess(place: OperatorPlace): Promise<OperatorProcess> {
  const { access, namespace, nats, identity, leaseMs = 3_000, nodeFlags = [] } = place
  const port = await freePort()
  const config = {
    platform: {
      kind: 'kubernetes',
      namespace,
      ...('kubeconfig' in access ? { kubeconfig: access.kubeconfig } : {}),
      lease: { durationMs: leaseMs, renewMs: Math.floor(leaseMs * 0.23), retryMs: 300, marginMs: 500, identity },
      worker: { image: 'localhost/none:1', natsPasswordSecret: { name: 'nats', key: 'worker' } },
    },
    nats: { url: nats.url, user: 'operator' },
    routerUrl: 'http://router',
    http: { host: '127.0.0.1', port },
    drainGraceMs: 2_000,
  }
  const { command, args, environment } = commandOf(access, nodeFlags)
  const child = spawn(command, args, {
    env: {
      ...process.env,
      ...environment,
      [operatorConfigVariable]: JSON.stringify(config),
      [natsPasswordVariable]: nats.passwords.operator,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said.text = (said.text + chunk.toString()).slice(-20_000)))
  return {
    child,
    words: () => said.text,
    page: async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text(),
    async end(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGCONT')
      child.kill(signal)
      await gone
    },
  }
}

function commandOf(access: OperatorPlace['access'], nodeFlags: readonly string[]) {
  if ('kubeconfig' in access) return { command: process.execPath, args: [...nodeFlags, main], environment: {} }
  const { token, authorityFile, server } = access
  const environment = {
    TOKEN: token,
    AUTHORITY: authorityFile,
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: server.port,
  }
  const node = [process.execPath, ...imageFlags, ...nodeFlags, main]
  return { command: 'unshare', args: ['--mount', 'sh', '-c', asPod, 'sh', ...node], environment }
}
