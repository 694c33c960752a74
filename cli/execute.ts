/**
 * Runs a program to its end. Output is kept bounded; an aborted signal ends the program.
 */
import { spawn } from 'node:child_process'

export interface ExecuteOptions {
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** `inherit` shows it to the person instead of keeping it. */
  readonly output?: 'keep' | 'inherit'
}

export interface Ending {
  /** null: ended by a signal, or never started. */
  readonly code: number | null
  /** The last 64 Ki characters of standard output, and of both streams together. */
  readonly stdout: string
  readonly output: string
}

const charactersMax = 64 * 1024

export function execute(command: string, args: readonly string[], options: ExecuteOptions = {}): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>()
  const keep = options.output !== 'inherit'
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.environment === undefined ? {} : { env: { ...options.environment } }),
    stdio: keep ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
  })
  let stdout = ''
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-charactersMax)
    output = (output + text).slice(-charactersMax)
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-charactersMax)
  })
  // Not spawn's own `timeout`: its timer keeps this process alive when the program could not even be started.
  const limits = [options.signal, options.timeoutMs === undefined ? undefined : AbortSignal.timeout(options.timeoutMs)]
  const limit = AbortSignal.any(limits.filter((signal) => signal !== undefined))
  const stop = () => child.kill('SIGTERM')
  if (limit.aborted) stop()
  limit.addEventListener('abort', stop, { once: true })
  const end = (code: number | null, extra = '') => {
    limit.removeEventListener('abort', stop)
    resolve({ code, stdout, output: output + extra })
  }
  child.on('error', (error) => end(null, error.message))
  child.on('close', (code) => end(code))
  return promise
}

/** The part of a program's output that names the problem: its last line that is not empty. */
export function lastLine(output: string): string {
  const lines = output.split('\n').map((line) => line.trim())
  return lines.findLast((line) => line !== '') ?? 'it said nothing'
}
