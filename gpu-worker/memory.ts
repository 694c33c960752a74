/**
 * How much memory this process may still take: what the machine has left, and what each of the control groups it is in (cgroup v2; a
 * container's limit is one) leaves it. Elsewhere than on Linux nothing is known.
 *
 * Files of which the system keeps a copy in memory are not counted as taken while nobody has read them lately: they make room at once.
 * A model that is in use is read all the time, and counts.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Memory {
  readonly availableBytes: number
  /** Whose limit is the nearest. */
  readonly boundBy: 'machine' | 'control group'
}

/** null: not known here. */
export type ReadMemory = () => Promise<Memory | null>

/** `root`: another one in tests. */
export async function createMemoryReader(root = '/'): Promise<ReadMemory> {
  const folders = await controlGroups(root)
  return async () => {
    const [machine, ...groups] = await Promise.all([
      leftOnMachine(root),
      ...folders.map((folder) => leftInGroup(folder)),
    ])
    if (machine === undefined || machine === null) return null
    const inGroups = Math.min(...groups.map((left) => left ?? Number.POSITIVE_INFINITY))
    return inGroups < machine
      ? { availableBytes: inGroups, boundBy: 'control group' }
      : { availableBytes: machine, boundBy: 'machine' }
  }
}

/** Of this process and of all above it. Inside a container only its own are seen, which is where its limit stands. */
async function controlGroups(root: string): Promise<string[]> {
  const own = /^0::(\/.*)$/m.exec((await textOf(join(root, 'proc/self/cgroup'))) ?? '')?.[1]
  const top = join(root, 'sys/fs/cgroup')
  if (own === undefined) return []
  const folders = [top]
  for (let path = own; path !== '/'; path = dirname(path)) folders.push(join(top, path))
  return folders
}

async function leftOnMachine(root: string): Promise<number | null> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec((await textOf(join(root, 'proc/meminfo'))) ?? '')?.[1]
  return kib === undefined ? null : Number(kib) * 1024
}

/** null: no limit. */
async function leftInGroup(folder: string): Promise<number | null> {
  const limit = Number(await textOf(join(folder, 'memory.max')))
  if (!Number.isFinite(limit) || limit <= 0) return null
  const [current, stat] = await Promise.all([
    textOf(join(folder, 'memory.current')),
    textOf(join(folder, 'memory.stat')),
  ])
  const idleFiles = Number(/^inactive_file (\d+)$/m.exec(stat ?? '')?.[1] ?? 0)
  return Math.max(0, limit - Math.max(0, Number(current ?? 0) - idleFiles))
}

/** null: there is no such file here. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}
