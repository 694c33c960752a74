/**
 * What a cluster could leave behind on this machine, as sorted lines that can be compared: mounts, links, addresses, routes,
 * packet filter rules, named network namespaces, control groups, settings of the kernel, processes.
 *
 * Things of other clusters that run beside are left out, and so are kernel values that change by themselves.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pids } from './box.ts'
import { attempt } from './commands.ts'

export type MachineState = Readonly<Record<string, readonly string[]>>

const others = new RegExp(String.raw`\bpaceline(?:\d+|-cluster-\d+)\b`)
const components = /^(?:etcd|kube-|kubelet|containerd|runc|pause|coredns|kwok|unshare|nsenter)/
/** Counters and state, not settings. */
const restless =
  /^(?:fs\.(?:dentry|file-nr|inode|quota|aio-nr)|kernel\.(?:random|ns_last_pid|pty|sched_|tainted|seccomp|perf_cpu)|net\.netfilter\.nf_conntrack_count|net\.ipv[46]\.(?:conf|neigh)|dev\.|vm\.nr_)/

export async function machineState(ownId: string): Promise<MachineState> {
  const isOurs = (line: string) => !others.test(line) || new RegExp(String.raw`\b${ownId}\b`).test(line)
  const said = async (program: string, ...args: string[]) => (await attempt(program, args)).stdout.split('\n')
  const lines: Record<string, readonly string[]> = {
    mounts: readFileSync('/proc/self/mounts', 'utf8').split('\n'),
    links: (await said('ip', '-o', 'link')).map((line) => line.replace(/^\d+: /, '').replace(/ qlen.*/, '')),
    addresses: (await said('ip', '-o', 'addr')).map((line) => line.replace(/^\d+: /, '').replace(/valid_lft.*/, '')),
    routes: await said('ip', 'route', 'show', 'table', 'all'),
    rules: await said('nft', 'list', 'ruleset'),
    namespaces: await said('ip', 'netns', 'list'),
    controlGroups: folders('/sys/fs/cgroup'),
    settings: (await said('sysctl', '-a')).filter((line) => !restless.test(line)),
    processes: await componentProcesses(),
  }
  return Object.fromEntries(
    Object.entries(lines).map(([name, found]) => [
      name,
      found.filter((line) => line.trim() !== '' && isOurs(line)).toSorted(),
    ]),
  )
}

/** Lines that only one of the two has, as `processes: + 17 etcd`; empty where nothing changed. */
export function differences(before: MachineState, after: MachineState): string[] {
  return Object.entries(after).flatMap(([name, lines]) => {
    const old = before[name] ?? []
    return [
      ...lines.filter((line) => !old.includes(line)).map((line) => `${name}: + ${line}`),
      ...old.filter((line) => !lines.includes(line)).map((line) => `${name}: - ${line}`),
    ]
  })
}

function folders(path: string): string[] {
  try {
    const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    return below.flatMap((entry) => [join(path, entry.name), ...folders(join(path, entry.name))])
  } catch {
    // Removed in the meantime.
    return []
  }
}

/**
 * Those that stay, by pid, for a moment: what other clusters run comes and goes. Named without pids, because one that was there
 * before may have been restarted by whoever owns it, and with the control group, by which a process of a pod says whose it is.
 */
async function componentProcesses(): Promise<string[]> {
  const first = componentsByPid()
  await sleep(300)
  return [...componentsByPid()].flatMap(([pid, command]) => (first.get(pid) === command ? [command] : []))
}

function componentsByPid(): Map<number, string> {
  const found = pids().flatMap((pid): [number, string][] => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      const name = command.split(' ')[0]?.split('/').at(-1) ?? ''
      const group = /:(\/paceline\d+)\//.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? ''
      return components.test(name) ? [[pid, `${command} ${group}`]] : []
    } catch {
      return []
    }
  })
  return new Map(found)
}
