/**
 * The processes of one local instance: nats-server, operator, router (workers belong to the operator).
 *
 * Owns their life and the instance's record. Starting: the broker first, then operator and router at once. Ending: router,
 * operator, broker, so that each can still say what it has to say. A part that ends by itself is started again and said so;
 * before the instance was ready it is an error instead, because what fails at once fails again.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { delay } from '#runtime/clock.ts'
import { natsServerConfig } from '#runtime/natsServerConfig.ts'
import type { Context } from '../context.ts'
import { identify, signalProcess } from './identity.ts'
import {
  allProcesses,
  type InstancePaths,
  type InstanceRecord,
  natsServerProcess,
  type PartName,
  writeInstance,
} from './instance.ts'
import { type LocalSettings, operatorCommand, natsCommand, routerCommand } from './parts.ts'
import { cutLog } from './logs.ts'
import { type PartCommand, type PartEvent, Supervised } from './supervised.ts'

const natsConnectWaitMsMax = 10_000
const natsConnectPollMs = 15

export class LocalPlatform {
  readonly #context: Context
  readonly #paths: InstancePaths
  readonly #settings: LocalSettings
  readonly #parts = new Map<PartName, Supervised>()
  #failure: Failure | null = null
  #record: InstanceRecord

  constructor(context: Context, paths: InstancePaths, settings: LocalSettings, record: InstanceRecord) {
    this.#context = context
    this.#paths = paths
    this.#settings = settings
    this.#record = record
  }

  /** Throws once a part is lost for good; whoever waits asks between two waits. */
  throwIfLost(): void {
    if (this.#failure !== null) throw this.#failure
  }

  get record(): InstanceRecord {
    return this.#record
  }

  async start(): Promise<void> {
    const { natsPort, natsMonitorPort, passwords } = this.#settings
    const text = natsServerConfig({
      host: '127.0.0.1',
      port: natsPort,
      monitorPort: natsMonitorPort,
      storeDir: this.#paths.natsStore,
      passwords,
    })
    writeFileSync(this.#paths.natsConfiguration, text, { mode: 0o600 })
    this.#launch('nats', natsCommand(this.#settings, this.#paths))
    await this.#natsListens()
    this.#update({ processes: { ...this.#record.processes, nats: natsServerProcess(this.#paths) } })
    this.#launch('operator', operatorCommand(this.#settings, this.#paths))
    this.#launch('router', routerCommand(this.#settings, this.#paths))
  }

  ready(): void {
    this.#update({ phase: 'ready' })
  }

  /** The workers of now, so that nothing is forgotten when all of us are killed. */
  noteWorkers(pids: readonly number[]): void {
    const known = this.#record.workers.map((worker) => worker.pid)
    if (pids.length === known.length && pids.every((pid) => known.includes(pid))) return
    this.#update({ workers: pids.map(identify).filter((identity) => identity !== null) })
  }

  cutLogs(): void {
    for (const name of ['nats', 'operator', 'router', 'up']) cutLog(join(this.#paths.logs, `${name}.log`))
  }

  /** Drains and ends everything; at once when `hurry` is aborted. Safe after a start that failed half way. */
  async stop(hurry: AbortSignal): Promise<void> {
    this.#update({ phase: 'stopping' })
    const kill = () => this.#kill()
    hurry.addEventListener('abort', kill, { once: true })
    if (hurry.aborted) kill()
    for (const name of ['router', 'operator', 'nats'] as const) {
      const graceMs = (name === 'nats' ? 0 : limits.drain.graceMs) + limits.local.killAfterGraceMs
      const outcome = await this.#parts.get(name)?.stop(graceMs)
      if (outcome === 'killed' && !hurry.aborted)
        this.#context.terminal.line(`${name} did not end within ${graceMs / 1000} s and was killed`)
    }
    hurry.removeEventListener('abort', kill)
    for (const identity of this.#record.workers) signalProcess(identity, 'SIGKILL')
  }

  #kill(): void {
    for (const part of this.#parts.values()) part.kill()
    for (const identity of allProcesses(this.#record)) signalProcess(identity, 'SIGKILL')
  }

  #launch(name: PartName, command: PartCommand): void {
    const part = new Supervised(command, this.#context.clock, (event) => this.#onEvent(name, event))
    this.#parts.set(name, part)
    part.start()
  }

  #onEvent(name: PartName, event: PartEvent): void {
    const { terminal } = this.#context
    switch (event.kind) {
      case 'started': {
        const key = name === 'nats' ? 'natsGuard' : name
        return this.#update({ processes: { ...this.#record.processes, [key]: event.process } })
      }
      case 'ended': {
        if (this.#record.phase === 'starting') return this.#fail(name, event.how)
        return terminal.line(`${name} ${event.how}; starting it again in ${event.waitMs} ms`)
      }
      case 'given-up':
        return this.#fail(name, `${event.how}; it was started ${limits.local.restartsMax} times`)
      default:
        return event satisfies never
    }
  }

  #fail(name: PartName, how: string): void {
    const log = join(this.#paths.logs, `${name}.log`)
    this.#failure ??= new Failure('aborted', `${name} ${how} (log: ${log})`)
  }

  #update(change: Partial<InstanceRecord>): void {
    this.#record = { ...this.#record, ...change }
    writeInstance(this.#paths, this.#record)
  }

  async #natsListens(): Promise<void> {
    const { clock, interrupts } = this.#context
    const deadline = clock.now() + natsConnectWaitMsMax
    while (!(await isListening(this.#settings.natsPort))) {
      if (clock.now() > deadline) this.#fail('nats', `does not listen after ${natsConnectWaitMsMax / 1000} s`)
      this.throwIfLost()
      await delay(clock, natsConnectPollMs, interrupts.first)
    }
  }
}

export const randomPassword = () => randomBytes(24).toString('base64url')

function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host: '127.0.0.1', port })
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
