/**
 * Workers as child processes: starts them, follows their output, ends them, and says once how each one ended.
 *
 * A worker's standard input is a pipe that nobody writes to: it closes when the operator dies, however it dies, and the worker
 * then ends too (`runtime/shutdown.ts`). Whether an end was asked for is known here and nowhere else.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import { natsPasswordVariable, type WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import { parentPipeVariable } from '#runtime/shutdown.ts'
import { describeEnd } from '../core/lastWords.ts'
import type { LastLines, WorkerLog } from './workerLog.ts'

export interface ProcessSettings {
  readonly node: string
  readonly workerMain: string
  readonly workerPassword: string
  /** What every worker inherits; no secret of the operator is in it. */
  readonly environment: Readonly<Record<string, string>>
}

export interface WorkerProcess {
  readonly worker: WorkerId
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly startedAt: number
  readonly drainAskedAt: number | null
  readonly pid: number | null
}

export interface WorkerEnded extends WorkerProcess {
  /** We asked for it: it was drained, or killed after its grace. */
  readonly asked: boolean
  readonly code: number | null
  readonly message: string
}

interface Running {
  readonly config: WorkerConfig
  readonly child: ChildProcess
  readonly startedAt: number
  readonly output: LastLines
  drainAskedAt: number | null
  /** Why we killed it although it had not been asked to end. */
  killedFor: string | null
}

export class WorkerProcesses {
  readonly #settings: ProcessSettings
  readonly #clock: Clock
  readonly #log: WorkerLog
  readonly #onEnd: (ended: WorkerEnded) => void
  readonly #running = new Map<WorkerId, Running>()

  constructor(options: {
    settings: ProcessSettings
    clock: Clock
    log: WorkerLog
    onEnd: (ended: WorkerEnded) => void
  }) {
    this.#settings = options.settings
    this.#clock = options.clock
    this.#log = options.log
    this.#onEnd = options.onEnd
  }

  list(): WorkerProcess[] {
    return [...this.#running.values()].map(describe)
  }

  start(config: WorkerConfig): void {
    const child = spawn(this.#settings.node, [this.#settings.workerMain], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: this.#environment(config),
    })
    const output = this.#log.follow(config.worker, [child.stdout, child.stderr])
    const running: Running = {
      config,
      child,
      startedAt: this.#clock.now(),
      output,
      drainAskedAt: null,
      killedFor: null,
    }
    this.#running.set(config.worker, running)
    // The other end of its input is gone when it is; that is no news.
    child.stdin.on('error', () => undefined)
    child.once('error', (error) => this.#ended(running, null, null, error.message))
    // `close`, not `exit`: its last words have been read by then.
    child.once('close', (code, signal) => this.#ended(running, code, signal, null))
  }

  drain(worker: WorkerId): void {
    const running = this.#running.get(worker)
    if (running === undefined || running.drainAskedAt !== null) return
    running.drainAskedAt = this.#clock.now()
    running.child.kill('SIGTERM')
  }

  /** `why` null: it had been asked to end and did not. */
  kill(worker: WorkerId, why: string | null): void {
    const running = this.#running.get(worker)
    if (running === undefined) return
    running.killedFor ??= why
    running.child.kill('SIGKILL')
  }

  killAll(): void {
    for (const { child } of this.#running.values()) child.kill('SIGKILL')
  }

  #environment(config: WorkerConfig): Record<string, string> {
    return {
      ...this.#settings.environment,
      [workerConfigVariable]: JSON.stringify(config),
      [natsPasswordVariable]: this.#settings.workerPassword,
      [parentPipeVariable]: '1',
    }
  }

  #ended(running: Running, code: number | null, signal: string | null, spawnError: string | null): void {
    // A process that could not be started may report both an error and its close.
    if (!this.#running.delete(running.config.worker)) return
    const ageMs = this.#clock.now() - running.startedAt
    const how = describeEnd({ code, signal, ageMs, lines: running.output.lines, spawnError })
    this.#onEnd({
      ...describe(running),
      asked: running.drainAskedAt !== null && running.killedFor === null,
      code,
      message: running.killedFor === null ? how : `${running.killedFor}; ${how}`,
    })
  }
}

function describe({ config, child, startedAt, drainAskedAt }: Running): WorkerProcess {
  const { worker, deployment, revision } = config
  return { worker, deployment, revision, startedAt, drainAskedAt, pid: child.pid ?? null }
}
