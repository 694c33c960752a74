/**
 * Child processes of a measurement: started with their output in a file, optionally held on one processor, and ended for sure.
 *
 * Each is ended by its own process id, first politely, then by force; nothing is left behind when the measurement fails.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { freePorts } from '../../../cli/local/ports.ts'

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly logFile: string
  /** Processor numbers to run on; ignored where `taskset` is missing or the machine has too few. */
  readonly pin?: readonly number[] | undefined
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Set once the process has ended by itself or was ended. */
  readonly exit: { readonly code: number | null; readonly signal: string | null } | null
  signal(signal: NodeJS.Signals): void
  stop(graceMs?: number): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

export const canPin: boolean = (() => {
  if (process.platform !== 'linux' || availableParallelism() < 2) return false
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

/** Holds a process that runs already, with all its threads. */
export function pinProcess(pid: number, processors: readonly number[]): void {
  if (canPin) execFileSync('taskset', ['-a', '-p', '-c', processors.join(','), String(pid)], { stdio: 'ignore' })
}

export function startChild(options: ChildOptions): Child {
  const output = openSync(options.logFile, 'a')
  const pinned = options.pin !== undefined && canPin
  const command = pinned ? 'taskset' : options.command
  const args = pinned ? ['-c', (options.pin ?? []).join(','), options.command, ...options.args] : [...options.args]
  const child = spawn(command, args, {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  closeSync(output)
  running.add(child)
  const ended = Promise.withResolvers<void>()
  let exit: Child['exit'] = null
  child.once('error', (error) => {
    exit = { code: null, signal: error.message }
    ended.resolve()
  })
  child.once('exit', (code, signal) => {
    exit = { code, signal }
    running.delete(child)
    ended.resolve()
  })
  return {
    name: options.name,
    pid: child.pid ?? -1,
    logFile: options.logFile,
    get exit() {
      return exit
    },
    signal: (signal) => void child.kill(signal),
    async stop(graceMs = 10_000) {
      if (exit !== null) return
      child.kill('SIGTERM')
      await Promise.race([ended.promise, wait(graceMs, undefined, { ref: false })])
      if (exit === null) child.kill('SIGKILL')
      await ended.promise
    },
  }
}

/** Asks until `check` says yes; fails at once where the process has ended, and says what it wrote last. */
export async function untilReady(child: Child, check: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    if (child.exit !== null) throw new Error(`${child.name} ended before it was ready:\n${tail(child.logFile)}`)
    if (await check().catch(() => false)) return
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`${child.name} was not ready within ${timeoutMs} ms:\n${tail(child.logFile)}`)
    await wait(25)
  }
}

export function tail(file: string, lines = 30): string {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(-lines).join('\n')
  } catch {
    return ''
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
