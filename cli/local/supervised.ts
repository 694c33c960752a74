/**
 * One part of a local instance as a child process: started again with back-off when it ends by itself, ended when asked.
 *
 * The child leads its own process group, so Ctrl-C in the terminal reaches only `up`, which keeps the order of draining. Its
 * standard input is a pipe nobody writes to: it ends when `up` is gone, however that happened, and the child ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { parentPipeVariable } from '#runtime/shutdown.ts'
import { identify, type ProcessIdentity } from './identity.ts'
import { cutLog, lastWords } from './logs.ts'

export interface PartCommand {
  readonly title: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly logPath: string
}

export type PartEvent =
  | { kind: 'started'; process: ProcessIdentity | null }
  /** It ended by itself and is started again after `waitMs`. */
  | { kind: 'ended'; how: string; waitMs: number }
  /** It ended by itself too often. */
  | { kind: 'given-up'; how: string }

type State =
  | { kind: 'idle' }
  | { kind: 'running'; child: ChildProcess; sinceMs: number }
  | { kind: 'waiting'; timer: Timer }
  | { kind: 'stopping'; child: ChildProcess }
  | { kind: 'ended' }

export class Supervised {
  readonly #part: PartCommand
  readonly #clock: Clock
  readonly #onEvent: (event: PartEvent) => void
  #state: State = { kind: 'idle' }
  #restarts = 0
  #ended = Promise.withResolvers<void>()

  constructor(part: PartCommand, clock: Clock, onEvent: (event: PartEvent) => void) {
    this.#part = part
    this.#clock = clock
    this.#onEvent = onEvent
  }

  start(): void {
    const { command, args, environment, logPath } = this.#part
    const log = openSync(logPath, 'a', 0o600)
    const env = { ...environment, [parentPipeVariable]: '1' }
    const child = spawn(command, [...args], { detached: true, env, stdio: ['pipe', log, log] })
    closeSync(log)
    // Writing is not wanted, and a reader that is gone shows as this child's exit.
    child.stdin?.on('error', () => undefined)
    this.#ended = Promise.withResolvers()
    this.#state = { kind: 'running', child, sinceMs: this.#clock.now() }
    child.once('error', (error) => this.#onEnd(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => this.#onEnd(`ended (${signal ?? `exit code ${code}`})`))
    this.#onEvent({ kind: 'started', process: child.pid === undefined ? null : identify(child.pid) })
  }

  /** Asks it to drain, kills it after `graceMs`; resolves once it is gone. */
  async stop(graceMs: number): Promise<'drained' | 'killed'> {
    const state = this.#state
    if (state.kind === 'waiting') state.timer.cancel()
    if (state.kind !== 'running') {
      if (state.kind !== 'stopping') this.#state = { kind: 'ended' }
      return 'drained'
    }
    this.#state = { kind: 'stopping', child: state.child }
    // Only the process itself: its own children (the operator's workers) are its to drain.
    state.child.kill('SIGTERM')
    let outcome: 'drained' | 'killed' = 'drained'
    const timer = this.#clock.after(graceMs, () => {
      outcome = 'killed'
      killGroup(state.child)
    })
    await this.#ended.promise
    timer.cancel()
    return outcome
  }

  /** At once, without draining. */
  kill(): void {
    const state = this.#state
    if (state.kind === 'waiting') state.timer.cancel()
    if (state.kind !== 'running' && state.kind !== 'stopping') {
      this.#state = { kind: 'ended' }
      return
    }
    this.#state = { kind: 'stopping', child: state.child }
    killGroup(state.child)
  }

  #onEnd(how: string): void {
    const state = this.#state
    this.#ended.resolve()
    if (state.kind !== 'running') {
      this.#state = { kind: 'ended' }
      return
    }
    const words = lastWords(this.#part.logPath)
    const story = words === null ? how : `${how}: ${words}`
    if (this.#clock.now() - state.sinceMs > limits.local.stableAfterMs) this.#restarts = 0
    if (this.#restarts >= limits.local.restartsMax) {
      this.#state = { kind: 'ended' }
      return this.#onEvent({ kind: 'given-up', how: story })
    }
    const waitMs = Math.min(limits.local.restartWaitMs * 2 ** this.#restarts, limits.local.restartWaitMsMax)
    this.#restarts += 1
    const timer = this.#clock.after(waitMs, () => {
      cutLog(this.#part.logPath)
      this.start()
    })
    this.#state = { kind: 'waiting', timer }
    this.#onEvent({ kind: 'ended', how: story, waitMs })
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
