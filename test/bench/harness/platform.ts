/**
 * A private Paceline for one measurement: nats-server, workers and a router as own processes, with own ports, passwords and folders.
 *
 * Stands in for the operator (buckets, model records, keys), so that nothing else runs beside what is measured; what the operator
 * adds is measured by `test/soak/start.ts` through the command line. Nothing of a person's own instance is touched.
 */
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { DeploymentName, Revision, TenantId, WorkerId } from '#contracts/ids.ts'
import type { Role } from '#contracts/permissions.ts'
import type { KeyRecord, ModelRecord } from '#contracts/records.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { routerConfigVariable, routerNodeFlags } from '#contracts/routerConfig.ts'
import { natsPasswordVariable, workerConfigVariable } from '#contracts/workerConfig.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { connectBus, type NatsBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { natsServerConfig } from '#runtime/natsServerConfig.ts'
import { cacheFolder, scratchFolder } from './cacheFolder.ts'
import { findNatsServer } from '../../integration/support/natsServer.ts'
import { type Child, freePort, startChild, untilReady } from './child.ts'
import { projectFolder } from './machine.ts'

export interface Deployment {
  readonly name: string
  /** `spec` of a ModelDeployment as YAML or as a value; `target` is left out, `modelPath` stands for it. */
  readonly spec: string | object
  readonly modelPath?: string
  readonly workers?: number
}

export interface PlatformOptions {
  readonly name: string
  readonly deployments: readonly Deployment[]
  /** Processors by part; none: wherever the system likes. */
  readonly pin?: { readonly router: readonly number[]; readonly rest: readonly number[] }
  readonly apiKeys?: Readonly<Record<string, string>>
  /** Further fields of `RouterConfig`. */
  readonly router?: object
  /** Flags of Node for one part: `--cpu-prof`, `--expose-gc`. */
  readonly nodeFlags?: { readonly router?: readonly string[]; readonly worker?: readonly string[] }
}

export interface RunningWorker {
  readonly id: WorkerId
  readonly deployment: string
  readonly child: Child
  readonly metricsUrl: string
}

export interface Platform {
  readonly url: string
  readonly folder: string
  readonly nats: Child
  readonly router: Child
  readonly workers: readonly RunningWorker[]
  /** A connection of its own with the permissions of a role: to measure what is there without a router. */
  connect(role: Role): Promise<NatsBus>
  stop(): Promise<void>
}

const host = '127.0.0.1'

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const folder = scratchFolder(options.name)
  const started: Child[] = []
  const stopAll = async () => {
    for (const child of started.toReversed()) await child.stop()
  }
  /** Logs are only worth keeping where somebody asks for them, or where the start failed. */
  const stop = async () => {
    await stopAll()
    if (process.env['PACELINE_KEEP_LOGS'] === undefined) rmSync(folder, { recursive: true, force: true })
  }
  try {
    const nats = await startNats(folder, options)
    started.push(nats.child)
    const workers: RunningWorker[] = []
    for (const deployment of options.deployments) {
      await nats.bus.put('models', deployment.name, encode(modelRecord(deployment)))
      for (let index = 0; index < (deployment.workers ?? 1); index += 1) {
        const worker = await startWorker(deployment, index, { folder, nats, options })
        started.push(worker.child)
        workers.push(worker)
      }
    }
    for (const [key, tenant] of Object.entries(options.apiKeys ?? {})) await putKey(nats.bus, key, tenant)
    const { child: router, url } = await startRouter({ folder, nats, options })
    started.push(router)
    await nats.bus.close()
    await Promise.all(options.deployments.map((deployment) => untilServed(router, url, deployment, options)))
    const connect = (role: Role) =>
      connectBus({
        url: nats.url,
        role,
        user: role,
        password: nats.passwords[role],
        name: 'measurement',
        log: silentLog,
      })
    return { url, folder, nats: nats.child, router, workers, connect, stop }
  } catch (error) {
    await stopAll()
    throw error
  }
}

interface Nats {
  readonly child: Child
  readonly url: string
  readonly passwords: Readonly<Record<Role, string>>
  readonly bus: NatsBus
}

interface Surroundings {
  readonly folder: string
  readonly nats: Nats
  readonly options: PlatformOptions
}

async function startNats(folder: string, options: PlatformOptions): Promise<Nats> {
  const port = await freePort()
  const secret = () => randomBytes(18).toString('base64url')
  const passwords = { operator: secret(), router: secret(), worker: secret() }
  const file = join(folder, 'nats.conf')
  writeFileSync(file, natsServerConfig({ host, port, storeDir: join(folder, 'jetstream'), passwords }))
  chmodSync(file, 0o600)
  const child = startChild({
    name: 'nats-server',
    command: natsServerProgram(),
    args: ['-c', file],
    logFile: join(folder, 'nats.log'),
    pin: options.pin?.rest,
  })
  const url = `nats://${host}:${port}`
  const password = passwords.operator
  const bus = await connectBus({ url, role: 'operator', user: 'operator', password, name: 'bench', log: silentLog })
  await ensureBuckets(bus)
  return { child, url, passwords, bus }
}

function natsServerProgram(): string {
  const program = findNatsServer()
  if (program === null) throw new Error('no nats-server on PATH or in the cache; PACELINE_NATS_SERVER can name one')
  return program
}

const specOf = ({ spec, modelPath }: Deployment) => {
  const value: unknown = typeof spec === 'string' ? parse(spec) : spec
  const target = modelPath === undefined ? {} : { target: { source: `file://${modelPath}`, sha256: '0'.repeat(64) } }
  return ModelDeploymentSpec.parse({ ...(value as object), ...target })
}

function modelRecord(deployment: Deployment): ModelRecord {
  const spec = specOf(deployment)
  return {
    deployment: DeploymentName.parse(deployment.name),
    servedNames: [deployment.name, ...spec.servedNames],
    revision: Revision.parse('bench'),
    created: Math.floor(Date.now() / 1_000),
    contextTokensMax: spec.engine.contextTokensMax,
    capabilities: {
      chat: true,
      completions: true,
      embeddings: spec.engine.embeddings,
      grammar: spec.engine.kind !== 'simulated',
    },
    simulated: spec.engine.kind === 'simulated',
    reproducible: spec.engine.reproducible ? 'proving' : 'no',
    speculation: spec.speculation,
    experts: [],
    slo: spec.slo,
    queue: spec.queue,
  }
}

async function putKey(bus: NatsBus, key: string, tenant: string): Promise<void> {
  const record: KeyRecord = { tenant: TenantId.parse(tenant), weight: 1, priority: 0 }
  await bus.put('keys', createHash('sha256').update(key).digest('hex'), encode(record))
}

async function startWorker(
  deployment: Deployment,
  index: number,
  { folder, nats, options }: Surroundings,
): Promise<RunningWorker> {
  const spec = specOf(deployment)
  const id = WorkerId.parse(`${deployment.name}-${index}`)
  const metricsPort = await freePort()
  const config = {
    worker: id,
    deployment: deployment.name,
    revision: 'bench',
    modelPath: deployment.modelPath ?? null,
    modelSha256: deployment.modelPath === undefined ? null : sha256Of(deployment.modelPath),
    engine: spec.engine,
    kvCacheType: spec.compression.kvCache.type,
    speculation: spec.speculation,
    slo: spec.slo,
    nats: { url: nats.url, user: 'worker' },
    metricsPort,
    cacheDir: workerCache(),
    logLevel: 'info',
  }
  const child = startChild({
    name: `worker ${id}`,
    command: process.execPath,
    args: [...(options.nodeFlags?.worker ?? []), join(projectFolder, 'gpu-worker', 'main.ts')],
    env: { [workerConfigVariable]: JSON.stringify(config), [natsPasswordVariable]: nats.passwords.worker },
    cwd: folder,
    logFile: join(folder, `${id}.log`),
    pin: options.pin?.rest,
  })
  const metricsUrl = `http://${host}:${metricsPort}`
  await untilReady(child, async () => (await fetch(`${metricsUrl}/readyz`)).ok, 120_000)
  return { id, deployment: deployment.name, child, metricsUrl }
}

/** Cost curves and proofs outlive a run, as they do for everybody. */
function workerCache(): string {
  const folder = join(cacheFolder(), 'worker')
  mkdirSync(folder, { recursive: true })
  return folder
}

const hashes = new Map<string, string>()
function sha256Of(path: string): string {
  const known = hashes.get(path) ?? createHash('sha256').update(readFileSync(path)).digest('hex')
  hashes.set(path, known)
  return known
}

async function startRouter({ folder, nats, options }: Surroundings): Promise<{ child: Child; url: string }> {
  const port = await freePort()
  const config = { host, port, nats: { url: nats.url, user: 'router' }, ...options.router }
  const child = startChild({
    name: 'router',
    command: process.execPath,
    args: [...routerNodeFlags, ...(options.nodeFlags?.router ?? []), join(projectFolder, 'router', 'main.ts')],
    env: {
      [routerConfigVariable]: JSON.stringify(config),
      [natsPasswordVariable]: nats.passwords.router,
      // As in the image, whatever the shell says: with compiled code at hand it holds 20 MB less.
      NODE_DISABLE_COMPILE_CACHE: '1',
    },
    cwd: folder,
    logFile: join(folder, 'router.log'),
    pin: options.pin?.router,
  })
  const url = `http://${host}:${port}`
  await untilReady(child, async () => (await fetch(`${url}/readyz`)).ok, 30_000)
  return { child, url }
}

/** A first answer has come: models are loaded, routers and workers know each other. */
async function untilServed(router: Child, url: string, { name }: Deployment, options: PlatformOptions): Promise<void> {
  const key = Object.keys(options.apiKeys ?? {})[0]
  const headers = {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  }
  const body = JSON.stringify({ model: name, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 })
  await untilReady(
    router,
    async () => (await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body })).ok,
    60_000,
  )
}
