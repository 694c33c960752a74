/** Programs run to their end with their output kept, and waits with a bound. What failed is said with what was run. */
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RunOptions {
  readonly input?: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly waitMsMax?: number
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const waitMsMaxDefault = 120_000
const charactersMax = 16 * 1024 * 1024

/** Never throws: what could not be started ends with code null and the reason in `stderr`. */
export function attempt(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const child = spawn(program, args, {
    env: { ...process.env, ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.waitMsMax ?? waitMsMaxDefault,
    killSignal: 'SIGKILL',
  })
  const kept = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (kept[name].length < charactersMax) kept[name] += text
    })
  }
  // A program that does not read its input closes the pipe; its exit code tells what there is to tell.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  child.on('error', (error) => resolve({ code: null, stdout: kept.stdout, stderr: error.message }))
  child.on('close', (code) => resolve({ code, ...kept }))
  return promise
}

/** Standard output; throws with the program's own words where it does not end well. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(program, args, options)
  if (code === 0) return stdout
  const name = program.split('/').at(-1) ?? program
  throw new Error(`${name} ${args.join(' ').slice(0, 300)}: exit ${String(code)}: ${(stderr || stdout).trim()}`)
}

export interface Wait {
  /** As in "waited 60 s for <what>". */
  readonly what: string
  readonly waitMsMax: number
  readonly everyMs?: number
  /** Asked when time is up, and added to the error. */
  readonly explain?: () => string | Promise<string>
}

/** Asks until the answer is neither undefined nor false; what `look` throws counts as "not yet", and is told at the end. */
export async function waitFor<T>(wait: Wait, look: () => Promise<T | undefined | false>): Promise<T> {
  const startedAt = performance.now()
  let last: unknown
  while (performance.now() - startedAt < wait.waitMsMax) {
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
      last = undefined
    } catch (error) {
      if (error instanceof Hopeless) throw error
      last = error
    }
    await sleep(wait.everyMs ?? 100)
  }
  const reason = last instanceof Error ? `: ${last.message}` : ''
  const more = wait.explain === undefined ? '' : `\n${await wait.explain()}`
  throw new Error(`waited ${wait.waitMsMax / 1_000} s for ${wait.what}${reason}${more}`)
}

/** Thrown inside a wait: it will never come true. */
export class Hopeless extends Error {}
