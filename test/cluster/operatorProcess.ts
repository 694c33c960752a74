/** An operator of this checkout as a process on the host, working in one namespace of a cluster through a kubeconfig. */
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

export interface OperatorPlace {
  readonly kubeconfig: string
  readonly namespace: string
  readonly nats: NatsServer
  readonly identity: string
  /** How long its lease lasts; short by default, so that tests of leadership are. */
  readonly leaseMs?: number
}

export async function startOperatorProcess(place: OperatorPlace): Promise<OperatorProcess> {
  const { kubeconfig, namespace, nats, identity, leaseMs = 3_000 } = place
  const port = await freePort()
  const config = {
    platform: {
      kind: 'kubernetes',
      namespace,
      kubeconfig,
      lease: { durationMs: leaseMs, renewMs: Math.floor(leaseMs * 0.23), retryMs: 300, marginMs: 500, identity },
      worker: { image: 'localhost/none:1', natsPasswordSecret: { name: 'nats', key: 'worker' } },
    },
    nats: { url: nats.url, user: 'operator' },
    routerUrl: 'http://router',
    http: { host: '127.0.0.1', port },
    drainGraceMs: 2_000,
  }
  const child = spawn(process.execPath, [join(projectFolder, 'operator', 'main.ts')], {
    env: {
      ...process.env,
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
