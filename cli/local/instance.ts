/**
 * One running instance on this machine: its folder `<cache>/run/<port>` and the record in it.
 *
 * The record is created exclusively, so two starts on one port cannot both win; it names every process with its start time,
 * so that what an instance left behind when it was killed can be ended by the next start, and nothing else ever is.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import type { Context } from '../context.ts'
import { identify, isAlive, ProcessIdentity, signalProcess } from './identity.ts'

export const InstanceRecord = z.object({
  version: z.string(),
  /** The supervising `up`. */
  owner: ProcessIdentity,
  phase: z.enum(['starting', 'ready', 'stopping']),
  detached: z.boolean(),
  url: z.string(),
  operatorUrl: z.string(),
  natsUrl: z.string(),
  natsMonitorUrl: z.string(),
  resources: z.string(),
  processes: z.object({
    nats: ProcessIdentity.nullable(),
    /** The shell around nats-server that ends it when `up` is killed. */
    natsGuard: ProcessIdentity.nullable(),
    operator: ProcessIdentity.nullable(),
    router: ProcessIdentity.nullable(),
  }),
  workers: z.array(ProcessIdentity),
})
export type InstanceRecord = z.infer<typeof InstanceRecord>
export type PartName = 'nats' | 'operator' | 'router'

export interface InstancePaths {
  readonly folder: string
  readonly record: string
  readonly natsConfiguration: string
  readonly natsPid: string
  readonly natsStore: string
  readonly logs: string
  /** What routes keep of their traffic to calibrate with; outlives the instance. */
  readonly traffic: string
}

export function instancePaths(context: Pick<Context, 'config'>, port: number): InstancePaths {
  const folder = join(context.config.cacheDir, 'run', String(port))
  return {
    folder,
    record: join(folder, 'instance.json'),
    natsConfiguration: join(folder, 'nats.conf'),
    natsPid: join(folder, 'nats.pid'),
    natsStore: join(folder, 'nats'),
    logs: join(folder, 'logs'),
    traffic: join(folder, 'traffic'),
  }
}

/** Makes the folder ours, ends what a killed instance left. Throws a Failure while another instance lives there. */
export function claimInstance(paths: InstancePaths, record: InstanceRecord): void {
  makeFolders(paths)
  const text = JSON.stringify(record, null, 2)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      writeFileSync(paths.record, text, { flag: 'wx', mode: 0o600 })
      // JetStream's files belong to passwords and ports that are gone; the operator publishes everything again.
      rmSync(paths.natsStore, { recursive: true, force: true })
      rmSync(paths.natsPid, { force: true })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(paths.folder, error)
      assertNoInstance(paths)
      removeLeftovers(paths)
    }
  }
  throw new Failure('invalid-configuration', `another start is under way in ${paths.folder}`)
}

/** Replaces the record as a whole: a reader sees the old one or the new one. */
export function writeInstance(paths: InstancePaths, record: InstanceRecord): void {
  const draft = `${paths.record}.new`
  writeFileSync(draft, JSON.stringify(record, null, 2), { mode: 0o600 })
  renameSync(draft, paths.record)
}

/** null: none there, or unreadable (a record is never half written by us). */
export function readInstance(paths: InstancePaths): InstanceRecord | null {
  try {
    return InstanceRecord.parse(JSON.parse(readFileSync(paths.record, 'utf8')))
  } catch {
    return null
  }
}

export function releaseInstance(paths: InstancePaths): void {
  rmSync(paths.record, { force: true })
  rmSync(paths.natsConfiguration, { force: true })
  rmSync(paths.natsStore, { recursive: true, force: true })
}

/** Ports with a record whose owner lives. */
export function livingInstances(context: Pick<Context, 'config'>): number[] {
  const run = join(context.config.cacheDir, 'run')
  const names = existsSync(run) ? readdirSync(run).filter((name) => /^\d+$/.test(name)) : []
  return names.map(Number).filter((port) => {
    const record = readInstance(instancePaths(context, port))
    return record !== null && isAlive(record.owner)
  })
}

export const allProcesses = (record: InstanceRecord): ProcessIdentity[] => [
  ...record.workers,
  ...Object.values(record.processes).filter((identity) => identity !== null),
]

/** Ends at once whatever of a dead instance still runs. */
export function removeLeftovers(paths: InstancePaths): void {
  const record = readInstance(paths)
  for (const identity of record === null ? [] : allProcesses(record)) signalProcess(identity, 'SIGKILL')
  releaseInstance(paths)
}

/** The server behind its guard: it writes its own pid file. */
export function natsServerProcess(paths: InstancePaths): ProcessIdentity | null {
  const pid = existsSync(paths.natsPid) ? Number(readFileSync(paths.natsPid, 'utf8')) : 0
  return pid > 0 ? identify(pid) : null
}

/** Throws a Failure where an instance lives. */
export function assertNoInstance(paths: InstancePaths): void {
  const record = readInstance(paths)
  if (record === null || !isAlive(record.owner)) return
  throw new Failure(
    'invalid-configuration',
    `Paceline already runs at ${record.url} (pid ${record.owner.pid}); end it with npm stop, or start another with npm start -- --port <number>`,
  )
}

function makeFolders(paths: InstancePaths): void {
  try {
    mkdirSync(paths.folder, { recursive: true, mode: 0o700 })
    mkdirSync(paths.logs, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw unwritable(paths.folder, error)
  }
}

function unwritable(folder: string, cause: unknown): Failure {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Failure(
    'invalid-configuration',
    `cannot write to ${folder} (${reason}); free some space or choose another place with --cache-dir`,
    {
      cause,
    },
  )
}
