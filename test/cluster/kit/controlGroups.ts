/**
 * The control groups that hold all pods of a cluster: one folder of its name in every hierarchy of this machine.
 *
 * runc also makes one in a version 2 hierarchy that is mounted beside those of version 1 (`unified`), so that one counts too.
 */
import { type Dirent, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const top = '/sys/fs/cgroup'

/** `/sys/fs/cgroup` itself with version 2 only, else one folder for each controller. */
function hierarchies(): string[] {
  if (existsSync(join(top, 'cgroup.procs'))) return [top]
  return readdirSync(top)
    .map((name) => join(top, name))
    .filter((path) => existsSync(join(path, 'cgroup.procs')))
}

const groupsOf = (id: string): string[] => hierarchies().map((path) => join(path, id))

/** kubelet wants its root group in every hierarchy, with CPUs and memory nodes in it. */
export function makeControlGroups(id: string): void {
  for (const path of hierarchies()) {
    const group = join(path, id)
    mkdirSync(group, { recursive: true })
    if (path === top) delegate(path)
    const inherited = ['cpuset.cpus', 'cpuset.mems'].filter((file) => existsSync(join(path, file)))
    for (const file of inherited) writeFileSync(join(group, file), readFileSync(join(path, file)))
    weigh(group)
  }
}

/**
 * All pods together would otherwise count as much as one process beside them, and on a busy machine of two cores they would be
 * late for their own pings and probes.
 */
function weigh(group: string): void {
  const weights = { 'cpu.shares': 8_192, 'cpu.weight': 800 }
  for (const [file, weight] of Object.entries(weights))
    if (existsSync(join(group, file))) writeFileSync(join(group, file), String(weight))
}

/** Version 2: a group has only the controllers that its parent hands down. */
function delegate(path: string): void {
  const controllers = readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim().split(' ')
  writeFileSync(join(path, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '))
}

/** Every process in a pod of this cluster. */
export function podProcesses(id: string): number[] {
  const found = groupsOf(id).filter(existsSync).flatMap(foldersBelow).flatMap(processesIn)
  return [...new Set(found)]
}

/** Removes the groups; those that still hold a process stay and are returned. */
export async function removeControlGroups(id: string): Promise<string[]> {
  for (let round = 0; round < 20; round += 1) {
    const left = groupsOf(id).filter(existsSync)
    if (left.length === 0) return []
    for (const folder of left.flatMap(foldersBelow)) removeIfEmpty(folder)
    if (round > 0) await sleep(100)
  }
  return groupsOf(id).filter(existsSync)
}

/** Deepest first. */
function foldersBelow(path: string): string[] {
  const below = entriesOf(path).filter((entry) => entry.isDirectory())
  return [...below.flatMap((entry) => foldersBelow(join(path, entry.name))), path]
}

/** A pod's group can go while its parents are being read. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV')) return []
    throw error
  }
}

function processesIn(path: string): number[] {
  try {
    const lines = readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n')
    return lines.filter((line) => line !== '').map(Number)
  } catch {
    // Removed in the meantime, or a threaded group, whose parent lists its processes.
    return []
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Busy for a moment after its last process ended; the caller looks again.
  }
}
