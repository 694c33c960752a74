/**
 * `up --detach`: the same `up` in the background, with its words passed to this terminal until it is ready.
 *
 * Until then the two belong together (whoever ends one ends both); afterwards the background one lives until `down`.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import type { Context } from './context.ts'
import type { InstancePaths } from './local/instance.ts'
import type { Terminal } from './terminal.ts'

const Word = z.object({ kind: z.enum(['line', 'progress', 'error', 'ready']), text: z.string() })

/** What the background half sends once it answers; from then on it outlives its starter. */
export const readyWord: z.infer<typeof Word> = { kind: 'ready', text: '' }

export async function startDetached(
  args: readonly string[],
  paths: InstancePaths,
  { terminal, interrupts, config }: Context,
): Promise<number> {
  mkdirSync(paths.logs, { recursive: true, mode: 0o700 })
  const log = openSync(join(paths.logs, 'up.log'), 'a', 0o600)
  const main = join(config.root, 'cli', 'main.ts')
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, 'up', ...args, '--supervised'],
    {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    },
  )
  closeSync(log)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const stop = () => child.kill('SIGTERM')
  interrupts.first.addEventListener('abort', stop, { once: true })
  child.on('message', (message) => {
    const word = Word.parse(message)
    if (word.kind === 'ready') resolve(0)
    else terminal[word.kind](word.text)
  })
  child.once('error', (cause) =>
    reject(new Failure('aborted', `cannot start in the background: ${cause.message}`, { cause })),
  )
  child.once('exit', (code) => resolve(code ?? 1))
  const code = await promise
  interrupts.first.removeEventListener('abort', stop)
  if (child.connected) child.disconnect()
  child.unref()
  return code
}

/** The background half's terminal: its log, and the starter's terminal while that is there. */
export function relayedTerminal(log: Terminal, send: (message: unknown) => void): Terminal {
  const say = (kind: keyof Terminal, text: string) => {
    if (process.connected) send({ kind, text })
    log[kind](text)
  }
  return {
    line: (text) => say('line', text),
    progress: (text) => say('progress', text),
    error: (text) => say('error', text),
  }
}
