/**
 * Runs one program to its end and gives back what it printed; bounded in time and in output. Used for `pip` only.
 */
import { spawn } from 'node:child_process'
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'

export interface CommandResult {
  /** Null: ended by a signal. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const outputCharactersMax = 4 * 1024 * 1024

/** Throws `Failure('tool-missing')` where the program does not exist, `download-failed` where it hangs. */
export function runCommand(
  command: readonly [string, ...string[]],
  options: { readonly timeoutMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<CommandResult> {
  const [program, ...rest] = command
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>()
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], signal: options.signal })
  const timer = options.clock.after(options.timeoutMs, () => {
    child.kill('SIGKILL')
    reject(new Failure('download-failed', `${command.join(' ')} did not end within ${options.timeoutMs} ms`))
  })
  const output = { stdout: '', stderr: '' }
  const gather = (stream: 'stdout' | 'stderr') => (chunk: string) => {
    if (output[stream].length < outputCharactersMax) output[stream] += chunk
  }
  child.stdout.setEncoding('utf8').on('data', gather('stdout'))
  child.stderr.setEncoding('utf8').on('data', gather('stderr'))
  child.once('error', (cause) => {
    timer.cancel()
    reject(new Failure('tool-missing', `${program} cannot be run: ${cause.message}`, { cause }))
  })
  child.once('close', (code) => {
    timer.cancel()
    resolve({ code, ...output })
  })
  return promise
}
