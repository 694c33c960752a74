/**
 * The operator as a process, on a real nats-server, with real child processes: what it does about crashes, edits, deletions
 * and its own end. The worker is a stand-in that registers and reports; nothing is computed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type OperatorConfig, operatorConfigVariable, workerNatsPasswordVariable } from '#contracts/operatorConfig.ts'
import { type DeploymentReport, OperatorStatus } from '#contracts/operatorStatus.ts'
import { ModelRecord } from '#contracts/records.ts'
import type { ConditionType } from '#contracts/resources/modelDeployment.ts'
import type { Bucket } from '#contracts/subjects.ts'
import { natsPasswordVariable } from '#contracts/workerConfig.ts'
import { decode } from '#runtime/messages.ts'
import { type NatsBus } from '#runtime/nats.ts'
import { findNatsServer, freePort, type NatsServer, startNatsServer } from './support/natsServer.ts'

const program = findNatsServer()
if (program === null)
  console.warn('the operator is not tested: no nats-server on PATH, PACELINE_NATS_SERVER is not set')
const fixture = fileURLToPath(new URL('../../operator/local/fixtures/worker.ts', import.meta.url))
const main = fileURLToPath(new URL('../../operator/main.ts', import.meta.url))

interface Instance {
  readonly url: string
  readonly folder: string
  readonly resources: string
  readonly child: ChildProcess
  status(): Promise<OperatorStatus>
  /** The deployment, or undefined where it is gone. */
  deployment(name: string): Promise<DeploymentReport | undefined>
  write(text: string): Promise<void>
  until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T>
}

const pair = (fields: { name?: string; context?: number; replicas?: number; served?: string } = {}) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${fields.name ?? 'fake'} }
spec:
  servedNames: [${fields.served ?? ''}]
  replicas: ${fields.replicas ?? 1}
  engine: { kind: simulated, contextTokensMax: ${fields.context ?? 2048}, slots: 2 }
`

const route = `---
apiVersion: paceline.dev/v1alpha1
kind: ModelRoute
metadata: { name: helper }
spec: { name: assistant, direct: { deployment: fake } }
`

describe.skipIf(program === null)('an operator process', () => {
  let server: NatsServer
  let reader: NatsBus
  const instances: Instance[] = []

  beforeAll(async () => {
    server = await startNatsServer()
    reader = await server.connect('router')
  })
  afterEach(async () => {
    for (const { child, folder } of instances.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }
      await rm(folder, { recursive: true, force: true })
    }
  })
  afterAll(async () => {
    await reader.close()
    await server.stop()
  })

  const start = async (text: string, overrides: Overrides = {}): Promise<Instance> => {
    const instance = await startInstance(server, text, overrides)
    instances.push(instance)
    return instance
  }
  const ready = (instance: Instance, name: string, more: (found: DeploymentReport) => boolean = () => true) =>
    instance.until(`${name} is ready`, async () => {
      const found = await instance.deployment(name)
      return found !== undefined && condition(found, 'Ready') === 'True' && more(found) && found
    })

  /** A registration may be seen a moment before the first report. */
  const hasReported = ({ workers }: DeploymentReport) => workers[0]?.slots !== null

  test('a deployment of the file gets a worker, a published record and its conditions', async () => {
    const instance = await start(pair({ served: 'other' }))
    const found = await ready(instance, 'fake')
    expect(found.workers).toHaveLength(1)
    expect(found.workers[0]).toMatchObject({ state: 'ready', current: true, version: 'fixture' })
    expect(condition(found, 'WorkersReady')).toBe('True')
    const records = await entries(reader, 'models')
    expect(decode(ModelRecord, records.get('fake') ?? new Uint8Array())).toMatchObject({
      servedNames: ['fake', 'other'],
    })
  })

  test('a killed worker is started again, its registration is gone at once, and the restart is counted', async () => {
    const instance = await start(pair())
    const before = (await ready(instance, 'fake')).workers[0]
    process.kill(before?.pid ?? 0, 'SIGKILL')
    const after = await ready(instance, 'fake', ({ workers }) => workers[0]?.worker !== before?.worker)
    expect(after.restarts).toBe(1)
    expect([...(await entries(reader, 'workers')).keys()]).not.toContain(before?.worker)
  })

  test('a worker that somebody else tells to end is replaced, and that is no crash', async () => {
    const instance = await start(pair())
    const before = (await ready(instance, 'fake', hasReported)).workers[0]
    process.kill(before?.pid ?? 0, 'SIGTERM')
    const isReplaced = ({ workers }: DeploymentReport) =>
      workers.every(({ worker, state }) => worker !== before?.worker && state === 'ready')
    const after = await ready(instance, 'fake', isReplaced)
    expect(after.workers).toHaveLength(1)
    expect(after.restarts).toBe(0)
    expect(condition(after, 'Degraded')).toBe('False')
  })

  test('a worker that always crashes is a crash loop that quotes its last words', async () => {
    const instance = await start(pair({ context: 4001 }))
    const found = await instance.until('a crash loop', async () => {
      const now = await instance.deployment('fake')
      return now !== undefined && reason(now, 'Degraded') === 'CrashLoop' && now
    })
    const message = found.status.conditions.find(({ type }) => type === 'Degraded')?.message
    expect(message).toMatch(/exited with code 3 .*last words: the engine refused to start/)
    expect(found.restarts).toBeLessThan(6)
  })

  test('an edit is rolled out with the new worker ready before the old one goes', async () => {
    const instance = await start(pair())
    const before = (await ready(instance, 'fake')).workers[0]
    let readyFewest = 1
    await instance.write(pair({ context: 1024 }))
    await instance.until('the new worker alone', async () => {
      const now = await instance.deployment('fake')
      readyFewest = Math.min(readyFewest, now?.workers.filter(({ state }) => state === 'ready').length ?? 0)
      return now?.workers.length === 1 && now.workers[0]?.current && now.workers[0].worker !== before?.worker
    })
    expect(readyFewest).toBe(1)
    expect((await ready(instance, 'fake')).generation).toBe(2)
  })

  test('a revision that cannot start leaves the one before serving', async () => {
    const instance = await start(pair())
    await ready(instance, 'fake')
    await instance.write(pair({ context: 4001 }))
    const found = await instance.until('the crash', async () => {
      const now = await instance.deployment('fake')
      return now !== undefined && condition(now, 'Degraded') === 'True' && now
    })
    expect(condition(found, 'Ready')).toBe('True')
    expect(found.workers.some(({ state, current }) => state === 'ready' && !current)).toBe(true)
  })

  test('after crashes in a row it is rolled back, and the old revision is restarted when its worker dies', async () => {
    const instance = await start(pair())
    await ready(instance, 'fake', ({ status }) => status.revisions?.[0]?.state === 'good')
    await instance.write(pair({ context: 4001 }))
    const found = await instance.until('the rollback', async () => {
      const now = await instance.deployment('fake')
      return now !== undefined && reason(now, 'Degraded') === 'RolledBack' && now
    })
    expect(found.status.revisions?.map(({ state }) => state)).toEqual(['failed', 'good'])
    expect(found.status.desiredRevision).not.toBe(found.workers[0]?.revision)
    const page = await (await fetch(`${instance.url}/metrics`)).text()
    expect(page).toContain('paceline_operator_rollbacks_total{deployment="fake"} 1')
    expect(page).toContain('paceline_operator_replicas_wanted{deployment="fake"} 1')
    expect(condition(found, 'Ready')).toBe('True')
    const before = found.workers[0]
    process.kill(before?.pid ?? 0, 'SIGKILL')
    const after = await ready(instance, 'fake', ({ workers }) => workers[0]?.worker !== before?.worker)
    expect(after.workers[0]?.revision).toBe(before?.revision)
    await instance.write(pair({ context: 1024 }))
    await ready(
      instance,
      'fake',
      ({ status, workers }) => workers.length === 1 && status.currentRevision === status.desiredRevision,
    )
  })

  test('a broken edit is named by file and line, changes nothing, and is forgotten once it is mended', async () => {
    const instance = await start(pair())
    const before = (await ready(instance, 'fake')).workers[0]
    await instance.write(pair().replace('slots: 2', 'slotz: 2'))
    await instance.until('the problem', async () => (await instance.status()).resources.problems.length > 0)
    const { resources } = await instance.status()
    expect(resources.problems[0]).toMatch(/resources\.yaml:8: spec\.engine\.slotz: no such field/)
    await instance.write(pair({ served: 'mended' }))
    const after = await ready(instance, 'fake', ({ servedNames }) => servedNames.includes('mended'))
    expect(after.workers[0]?.worker).toBe(before?.worker)
  })

  test('a deleted deployment is drained and its record removed', async () => {
    const instance = await start(`${pair()}---${pair({ name: 'second' })}`)
    await ready(instance, 'second')
    await instance.write(pair())
    await instance.until('it is gone', async () => (await instance.deployment('second')) === undefined)
    expect([...(await entries(reader, 'models')).keys()]).toEqual(['fake'])
  })

  test('a worker that does not end when it is asked is killed after its grace', async () => {
    const instance = await start(`${pair()}---${pair({ name: 'second', context: 4003 })}`, { drainGraceMs: 300 })
    await ready(instance, 'second')
    await instance.write(pair())
    await instance.until('it is gone', async () => (await instance.deployment('second')) === undefined)
  })

  test('SIGTERM drains everything: exit code 0, no worker, no record, no route, no registration is left', async () => {
    const instance = await start(pair({ replicas: 2 }) + route)
    const pids = (await ready(instance, 'fake', ({ workers }) => workers.length === 2)).workers.map(
      ({ pid }) => pid ?? 0,
    )
    expect([...(await entries(reader, 'routes')).keys()]).toEqual(['helper'])
    const gone = once(instance.child, 'exit')
    instance.child.kill('SIGTERM')
    expect(await gone).toEqual([0, null])
    expect(pids.filter(isAlive)).toEqual([])
    expect((await entries(reader, 'models')).size).toBe(0)
    expect((await entries(reader, 'routes')).size).toBe(0)
    expect((await entries(reader, 'workers')).size).toBe(0)
  })

  test('workers do not outlive an operator that is killed', async () => {
    const instance = await start(pair({ replicas: 2 }))
    const pids = (await ready(instance, 'fake', ({ workers }) => workers.length === 2)).workers.map(
      ({ pid }) => pid ?? 0,
    )
    const gone = once(instance.child, 'exit')
    instance.child.kill('SIGKILL')
    await gone
    await instance.until('no worker is left', () => Promise.resolve(!pids.some(isAlive)))
  })

  test('NATS coming back without its files gets buckets, records, routes and keys again', async () => {
    const secret = `---
apiVersion: v1
kind: Secret
type: paceline.dev/api-key
metadata: { name: team-a }
stringData: { key: sk-0123456789abcdef, tenant: team-a }
`
    const instance = await start(pair() + route + secret)
    await ready(instance, 'fake')
    await server.kill()
    await server.start({ forgetFiles: true })
    await instance.until('everything is published again', async () => {
      const models = await entries(reader, 'models').catch(() => new Map())
      const keys = await entries(reader, 'keys').catch(() => new Map())
      const routes = await entries(reader, 'routes').catch(() => new Map())
      return models.has('fake') && routes.has('helper') && keys.size === 1
    })
  })

  test('the real worker with the simulated engine becomes ready, is rolled over and drains', async () => {
    const real = fileURLToPath(new URL('../../gpu-worker/main.ts', import.meta.url))
    const instance = await start(pair(), { workerMain: real })
    const before = await ready(instance, 'fake', hasReported)
    expect(before).toMatchObject({ simulated: true, workers: [{ slots: { total: 2, busy: 0, waiting: 0 } }] })
    expect(await (await fetch(before.workers[0]?.metricsUrl ?? '')).text()).toContain('vllm:num_requests_running')
    await instance.write(pair({ context: 1024 }))
    await ready(instance, 'fake', ({ workers }) => workers.length === 1 && workers[0]?.current === true)
    const gone = once(instance.child, 'exit')
    instance.child.kill('SIGTERM')
    expect(await gone).toEqual([0, null])
    expect((await entries(reader, 'workers')).size).toBe(0)
  })

  test('the metrics page shows what was done', async () => {
    const instance = await start(pair())
    await ready(instance, 'fake', ({ status }) => status.currentRevision !== '')
    const page = await instance.until('the page says ready', async () => {
      const text = await (await fetch(`${instance.url}/metrics`)).text()
      return text.includes('paceline_operator_deployments{state="ready"} 1') && text
    })
    expect(page).toMatch(/paceline_operator_replicas\{deployment="fake",state="ready"\} 1/)
    expect(page).toMatch(/paceline_operator_reconciles_total\{result="await-change"\} [1-9]/)
    expect((await fetch(`${instance.url}/readyz`)).status).toBe(200)
  })

  test('resources that cannot be read stop the start with every mistake at once', async () => {
    const text = pair().replace('slots: 2', 'slotz: 2').replace('replicas: 1', 'replicas: many')
    const folder = await mkdtemp(join(tmpdir(), 'paceline-operator-'))
    const child = await spawnOperator(server, folder, text, {})
    const words = { text: '' }
    child.stderr?.on('data', (chunk: Buffer) => (words.text += chunk.toString()))
    expect(await once(child, 'exit')).toEqual([1, null])
    expect(words.text).toMatch(/:7: spec\.replicas: .*\n.*:8: spec\.engine\.slotz: /)
    await rm(folder, { recursive: true, force: true })
  })
})

type Overrides = Partial<Omit<OperatorConfig, 'platform'>> & { readonly workerMain?: string }

async function spawnOperator(
  server: NatsServer,
  folder: string,
  text: string,
  overrides: Overrides,
): Promise<ChildProcess> {
  const resources = join(folder, 'resources.yaml')
  await writeFile(resources, text)
  const { workerMain = fixture, ...rest } = overrides
  const config = {
    platform: {
      kind: 'local',
      resources,
      stateDir: join(folder, 'state'),
      cacheDir: join(folder, 'cache'),
      workerMain,
    },
    nats: { url: server.url, user: 'operator' },
    routerUrl: 'http://127.0.0.1:8080',
    ...rest,
  }
  return spawn(process.execPath, [main], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      [operatorConfigVariable]: JSON.stringify(config),
      [natsPasswordVariable]: server.passwords.operator,
      [workerNatsPasswordVariable]: server.passwords.worker,
    },
  })
}

async function startInstance(server: NatsServer, text: string, overrides: Overrides): Promise<Instance> {
  const folder = await mkdtemp(join(tmpdir(), 'paceline-operator-'))
  const port = await freePort()
  const child = await spawnOperator(server, folder, text, { http: { host: '127.0.0.1', port }, ...overrides })
  const words = { text: '' }
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (words.text = (words.text + chunk.toString()).slice(-8_000)))
  const resources = join(folder, 'resources.yaml')
  const url = `http://127.0.0.1:${port}`
  const status = async () => OperatorStatus.parse(await (await fetch(`${url}/status`)).json())
  const until = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> => {
    for (let attempt = 0; attempt < 800; attempt++) {
      const found = await look().catch(() => undefined)
      if (found !== undefined && found !== false) return found
      await sleep(50)
    }
    const workers = await readFile(join(folder, 'state', 'workers.log'), 'utf8').catch(() => '')
    throw new Error(`not within 40 s: ${what}\n${words.text}\n${workers.slice(-2_000)}`)
  }
  await until('the operator answers', async () => (await status()).natsConnected)
  return {
    url,
    folder,
    resources,
    child,
    status,
    until,
    deployment: async (name) => (await status()).deployments.find((deployment) => deployment.name === name),
    write: (content) => writeFile(resources, content),
  }
}

/** What stands in a bucket now. */
async function entries(bus: NatsBus, bucket: Bucket): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  const { promise, resolve } = Promise.withResolvers<void>()
  const watch = await bus.watch(bucket, {
    entry: ({ key, value }) => (value === null ? found.delete(key) : found.set(key, value)),
    synced: resolve,
  })
  await promise
  watch.unsubscribe()
  return found
}

const condition = (found: DeploymentReport, type: ConditionType) =>
  found.status.conditions.find((one) => one.type === type)?.status
const reason = (found: DeploymentReport, type: ConditionType) =>
  found.status.conditions.find((one) => one.type === type)?.reason

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
