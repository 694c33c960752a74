/**
 * The NATS that the chart describes, run here: its configuration, users, passwords and certificate as rendered, on a real
 * nats-server; each part connects as it would from its pod.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { permissions, type Role } from '#contracts/permissions.ts'
import { silentLog } from '#runtime/log.ts'
import { connectBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { at, listAt, render, type Rendered, whyNoHelm } from './support/helm.ts'
import { findNatsServer, freePort } from './support/natsServer.ts'
import { whyNoNats } from './support/needs.ts'

const reason = whyNoHelm() ?? whyNoNats()
if (reason !== null) console.warn(`the chart's NATS is not run: ${reason}`)
const roles = Object.keys(permissions) as Role[]
const Texts = z.record(z.string(), z.string())
const secretOf = (rendered: Rendered, name: string) =>
  Object.fromEntries(
    Object.entries(Texts.parse(at(rendered.object('Secret', name), 'data'))).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString(),
    ]),
  )

describe.skipIf(reason !== null).each([
  { tls: true, name: 'with TLS' },
  { tls: false, name: 'without TLS' },
])("the chart's NATS $name", ({ tls }) => {
  let pod: NatsPod
  let rendered: Rendered
  beforeAll(async () => {
    rendered = render({ nats: { tls: { enabled: tls } } })
    // Digits alone would be a number to the server, were they not quoted.
    pod = await NatsPod.start(rendered, { ...secretOf(rendered, 'paceline-nats-auth'), worker: '12345678901234567890' })
  })
  afterAll(() => pod.stop())
  const connect = (role: Role, password: string, authority = pod.authority) =>
    connectBus({ url: pod.url, role, user: role, password, authority, name: role, log: silentLog, connectTimeoutMs: 1 })

  test('is healthy as its probes ask', async () => {
    expect((await fetch(`${pod.monitorUrl}/healthz`)).status).toBe(200)
    expect((await fetch(`${pod.monitorUrl}/healthz?js-server-only=true`)).status).toBe(200)
  })

  test('lets every part in with its own password, and the operator makes the buckets', async () => {
    for (const role of roles) {
      const bus = await connect(role, pod.passwords[role] ?? '')
      if (role === 'operator') await ensureBuckets(bus)
      expect(bus.state).toBe('connected')
      await bus.close()
    }
  })

  test('refuses every other password', async () => {
    for (const role of roles) {
      const others = roles.filter((other) => other !== role).map((other) => pod.passwords[other] ?? '')
      for (const wrong of [...others, ''])
        await expect(connect(role, wrong)).rejects.toMatchObject({ code: 'bus-unavailable' })
    }
  })

  test.skipIf(!tls)('is refused by a part that knows another authority', async () => {
    const other = secretOf(render(), 'paceline-nats-tls')['ca.crt'] ?? ''
    await expect(connect('router', pod.passwords['router'] ?? '', other)).rejects.toMatchObject({
      code: 'bus-unavailable',
    })
  })
})

/** What the StatefulSet makes of the rendered objects, on this machine. */
class NatsPod {
  readonly passwords: Readonly<Record<string, string>>
  readonly authority: string | null
  readonly url: string
  readonly monitorUrl: string
  readonly #folder: string
  readonly #child: ChildProcess

  constructor(made: {
    passwords: Record<string, string>
    authority: string | null
    ports: number[]
    folder: string
    child: ChildProcess
  }) {
    this.passwords = made.passwords
    this.authority = made.authority
    this.url = `${made.authority === null ? 'nats' : 'tls'}://127.0.0.1:${made.ports[0]}`
    this.monitorUrl = `http://127.0.0.1:${made.ports[1]}`
    this.#folder = made.folder
    this.#child = made.child
  }

  static async start(rendered: Rendered, passwords: Record<string, string>): Promise<NatsPod> {
    const folder = mkdtempSync(join(tmpdir(), 'paceline-chart-nats-'))
    const ports = [await freePort(), await freePort()]
    const container = at(rendered.object('StatefulSet', 'paceline-nats'), 'spec', 'template', 'spec', 'containers', 0)
    const hasTls = listAt(container, 'volumeMounts').some((mount) => at(mount, 'name') === 'tls')
    const tls = hasTls ? secretOf(rendered, 'paceline-nats-tls') : {}
    for (const [name, text] of Object.entries(tls)) writeFileSync(join(folder, name), text)
    mkdirSync(join(folder, 'data'))
    const config = String(at(rendered.object('ConfigMap', 'paceline-nats'), 'data', 'nats.conf'))
      .replaceAll('/etc/nats-tls', folder)
      .replace('"/data"', JSON.stringify(join(folder, 'data')))
      .replaceAll('0.0.0.0', '127.0.0.1')
      .replace('port: 4222', `port: ${ports[0]}`)
      .replace(':8222', `:${ports[1]}`)
    writeFileSync(join(folder, 'nats.conf'), config)
    const child = spawn(findNatsServer() ?? '', ['-c', join(folder, 'nats.conf')], {
      env: { ...environmentOf(container, passwords) },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let words = ''
    child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()))
    for (let attempt = 0; attempt < 200; attempt++) {
      if (child.exitCode !== null) throw new Error(words)
      if (
        await fetch(`http://127.0.0.1:${ports[1]}/healthz`).then(
          (response) => response.ok,
          () => false,
        )
      )
        break
      await sleep(25)
    }
    return new NatsPod({ passwords, authority: tls['ca.crt'] ?? null, ports, folder, child })
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit')
    if (this.#child.exitCode === null && this.#child.kill('SIGKILL')) await gone
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** As the kubelet does it: from the Secret, then `$(NAME)` of what came before. */
function environmentOf(container: unknown, secret: Readonly<Record<string, string>>): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const entry of listAt(container, 'env')) {
    const key = at(entry, 'valueFrom', 'secretKeyRef', 'key')
    const text = typeof key === 'string' ? (secret[key] ?? '') : String(at(entry, 'value'))
    environment[String(at(entry, 'name'))] =
      key === undefined ? text.replaceAll(/\$\((\w+)\)/g, (_, name: string) => environment[name] ?? '') : text
  }
  return environment
}
