/**
 * CPU-seconds and memory of processes, and how busy everything else on the machine was meanwhile.
 *
 * Linux: /proc. macOS: `ps`, without the share of others (reported as 0 and marked as unknown). A child that ended before the second reading is counted through
 * its parent's waited-for time.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'

const hasProc = existsSync('/proc/self/stat')
/** Kernel clock ticks are 10 ms on every Linux that Node supports. */
const tickMs = 10

interface Stat {
  readonly parent: number
  readonly cpuMs: number
}

function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name stands in parentheses and may hold anything, so fields count from behind it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const at = (index: number) => Number(fields[index] ?? 0)
    return { parent: at(1), cpuMs: (at(11) + at(12) + at(13) + at(14)) * tickMs }
  } catch {
    return null
  }
}

/** User and system time of one process, its threads and its ended children. */
export function cpuMsOf(pid: number): number {
  if (hasProc) return readStat(pid)?.cpuMs ?? 0
  try {
    return parsePsTime(execFileSync('ps', ['-o', 'cputime=', '-p', String(pid)], { encoding: 'utf8' }))
  } catch {
    return 0
  }
}

function parsePsTime(text: string): number {
  return (
    text
      .trim()
      .split(/[:-]/)
      .reduce((total, part) => total * 60 + Number(part), 0) * 1000
  )
}

/** `pid` and every live descendant. */
export function processTree(pid: number): number[] {
  if (!hasProc) return [pid]
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = readStat(Number(entry))
    if (stat !== null) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(entry)])
  }
  const found = [pid]
  for (const parent of found) found.push(...(children.get(parent) ?? []))
  return found
}

/** Resident bytes now; 0 where the process is gone. */
export function residentBytes(pid: number): number {
  try {
    if (!hasProc) return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Busy time of all processors since boot, idle and waiting excluded. */
function busyMs(): number {
  return cpus().reduce((total, cpu) => total + cpu.times.user + cpu.times.nice + cpu.times.sys + cpu.times.irq, 0)
}

export interface Watched<T> {
  readonly value: T
  readonly wallMs: number
  /** CPU time by the name each process was watched under; `client` is this process. */
  readonly cpuMs: Readonly<Record<string, number>>
  /** Processors that everything not watched kept busy, on average: above 0.25 a round is marked as noisy. */
  readonly others: number
}

/** Runs `work` and says what every watched process spent on it. */
export async function watch<T>(
  pids: Readonly<Record<string, readonly number[]>>,
  work: () => Promise<T>,
): Promise<Watched<T>> {
  const names = Object.entries(pids)
  const read = () => names.map(([, list]) => list.reduce((total, pid) => total + cpuMsOf(pid), 0))
  const before = read()
  const busyBefore = busyMs()
  const ownBefore = process.cpuUsage()
  const startedAt = performance.now()
  const value = await work()
  const wallMs = performance.now() - startedAt
  const own = process.cpuUsage(ownBefore)
  const after = read()
  const cpuMs: Record<string, number> = { client: (own.user + own.system) / 1000 }
  names.forEach(([name], index) => {
    cpuMs[name] = (after[index] ?? 0) - (before[index] ?? 0)
  })
  const watched = Object.values(cpuMs).reduce((total, ms) => total + ms, 0)
  const others = Math.max(0, (busyMs() - busyBefore - watched) / wallMs)
  return { value, wallMs, cpuMs, others }
}
