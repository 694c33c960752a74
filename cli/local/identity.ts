/**
 * Which process a recorded pid meant. Pids are used again, so a record holds the process's start time too, and nothing is ever
 * signalled on the pid alone.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import * as z from 'zod'

export const ProcessIdentity = z.object({ pid: z.int().positive(), started: z.string() })
export type ProcessIdentity = z.infer<typeof ProcessIdentity>

/** null: no such process. */
export function identify(pid: number): ProcessIdentity | null {
  const started = startOf(pid)
  return started === null ? null : { pid, started }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return startOf(identity.pid) === identity.started
}

/** Signals the process, and the group it leads, if it is still the one that was recorded. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return
  for (const target of [-identity.pid, identity.pid]) {
    try {
      process.kill(target, signal)
    } catch (error) {
      // Not a group leader, or gone in the meantime: both are what was wanted.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

function startOf(pid: number): string | null {
  if (process.platform === 'linux') {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The name in parentheses may hold anything; field 3 (state) and field 22 (start, in ticks since boot) come after it.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
    } catch {
      return null
    }
  }
  try {
    const options = { encoding: 'utf8' as const }
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim()
    return text === '' ? null : text
  } catch {
    return null
  }
}
