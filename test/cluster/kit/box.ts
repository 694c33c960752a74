/**
 * The box: one private network and mount namespace, held by a `sleep`, that every component of a cluster joins.
 *
 * Mounts, bridges, packet filter rules and the network namespaces of pods exist only inside it and vanish with it. `nsenter`
 * execs, so a recorded pid is the component itself and can be killed or frozen. `ip netns exec` will not do: it remounts /sys and
 * hides the control groups. A pid alone proves nothing, pids are reused: every signal first asks for the box's mount namespace.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { Addresses } from './addresses.ts'
import { attempt, type Ended, Hopeless, run, type RunOptions, waitFor } from './commands.ts'

const Started = z.object({ pid: z.number(), program: z.string(), args: z.array(z.string()) })
type Started = z.infer<typeof Started>

export class Box {
  readonly addresses: Addresses
  readonly #namespace: string
  readonly pid: number

  private constructor(addresses: Addresses, pid: number) {
    this.addresses = addresses
    this.pid = pid
    this.#namespace = mountNamespace(pid) ?? ''
  }

  /** Makes the namespaces and joins them to the host by one veth pair; pods, services and the host reach each other by it. */
  static async create(addresses: Addresses): Promise<Box> {
    const { folder, id, host, node, podRange, serviceRange } = addresses
    for (const name of ['run', 'logs', 'upper', 'work', 'sysctl']) mkdirSync(join(folder, name), { recursive: true })
    const args = ['--net', '--mount', '--propagation', 'private', 'sleep', 'infinity']
    const holder = spawn('unshare', args, { detached: true, stdio: 'ignore' })
    holder.on('error', () => undefined)
    holder.unref()
    const pid = holder.pid ?? 0
    await waitFor({ what: 'the namespaces', waitMsMax: 10_000, everyMs: 10 }, () => {
      if (holder.exitCode !== null) throw new Hopeless(`unshare ended with ${holder.exitCode}`)
      return Promise.resolve(commandOf(pid) === 'sleep')
    })
    writeFileSync(join(folder, 'run', 'box.pid'), String(pid))
    const box = new Box(addresses, pid)
    await box.#mount()
    await run('ip', ['link', 'add', id, 'type', 'veth', 'peer', 'name', 'node0', 'netns', String(pid)])
    await run('ip', ['addr', 'add', `${host}/30`, 'dev', id])
    await run('ip', ['link', 'set', id, 'up'])
    await box.#runs(
      ['ip', 'link', 'set', 'lo', 'up'],
      ['ip', 'addr', 'add', `${node}/30`, 'dev', 'node0'],
      ['ip', 'link', 'set', 'node0', 'up'],
    )
    for (const range of [podRange, serviceRange]) await run('ip', ['route', 'add', range, 'via', node, 'dev', id])
    // Both are of this network namespace only. The second lets a pod reach a pod of the same bridge through a service; where
    // br_netfilter is not loaded yet the file is missing.
    await box.#runs(
      ['sysctl', '-qw', 'net.ipv4.ip_forward=1'],
      ['sh', '-c', 'modprobe -q br_netfilter; sysctl -eqw net.bridge.bridge-nf-call-iptables=1'],
    )
    return box
  }

  /** The box of a cluster that another process started; null where it is gone. */
  static find(addresses: Addresses): Box | null {
    const pid = Number(readOr(join(addresses.folder, 'run', 'box.pid'), '0'))
    if (pid === 0 || commandOf(pid) !== 'sleep') return null
    const box = new Box(addresses, pid)
    return box.#namespace === '' || box.#namespace === mountNamespace('self') ? null : box
  }

  async #mount(): Promise<void> {
    const { folder } = this.addresses
    const overlay = `lowerdir=/var,upperdir=${folder}/upper,workdir=${folder}/work`
    await this.#runs(
      // So that a pod sees mounts made later (mountPropagation).
      ['mount', '--make-rshared', '/'],
      ['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run'],
      // Programs insist on /var/lib/kubelet, /var/lib/cni and /var/log/containers.
      ['mount', '-t', 'overlay', 'overlay', '-o', overlay, '/var'],
    )
    // kubelet wants these three of the whole machine; it gets files that already say so, and the machine keeps its own.
    for (const [key, value] of Object.entries(kubeletSysctls)) {
      const file = join(folder, 'sysctl', key)
      writeFileSync(file, `${value}\n`)
      await this.#runs(['mount', '--bind', file, `/proc/sys/${key.replaceAll('.', '/')}`])
    }
  }

  async #runs(...commands: readonly (readonly string[])[]): Promise<void> {
    for (const [program = '', ...args] of commands) await this.run(program, args)
  }

  /** Runs a program inside to its end. */
  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return run('nsenter', this.#inside(program, args), options)
  }

  attempt(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return attempt('nsenter', this.#inside(program, args), options)
  }

  #inside(program: string, args: readonly string[]): string[] {
    return ['-t', String(this.pid), '-n', '-m', '--', program, ...args]
  }

  /** Starts a component that runs until it is told to end; its words go to `logs/<name>.log`. */
  async start(name: string, program: string, args: readonly string[]): Promise<void> {
    const { folder } = this.addresses
    const log = openSync(join(folder, 'logs', `${name}.log`), 'a')
    const child = spawn('nsenter', this.#inside(program, args), { detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    child.on('error', () => undefined)
    child.unref()
    const started: Started = { pid: child.pid ?? 0, program, args: [...args] }
    writeFileSync(join(folder, 'run', `${name}.json`), JSON.stringify(started))
    await waitFor({ what: `${name} to join the box`, waitMsMax: 10_000, everyMs: 10 }, () => {
      if (child.exitCode !== null) throw new Hopeless(`${name} ended with ${child.exitCode}: ${this.lastWords(name)}`)
      return Promise.resolve(this.pidOf(name) !== null)
    })
  }

  /** Starts a component that has ended again, with the same command line. */
  async startAgain(name: string): Promise<void> {
    const { program, args } = this.#started(name)
    await this.start(name, program, args)
  }

  /** Null where it does not run (any more). */
  pidOf(name: string): number | null {
    const path = join(this.addresses.folder, 'run', `${name}.json`)
    if (!existsSync(path)) return null
    const { pid } = this.#started(name)
    return mountNamespace(pid) === this.#namespace ? pid : null
  }

  /** Its last thread has ended too: only then are its ports free. A dead leader alone already looks gone from outside. */
  hasEnded(name: string): boolean {
    const { pid } = this.#started(name)
    if (this.pidOf(name) !== null) return false
    return !/^\d+ \(.*\) Z /.test(readOr(`/proc/${pid}/stat`, '')) || threadsOf(pid) <= 1
  }

  signal(name: string, signal: NodeJS.Signals): void {
    const pid = this.pidOf(name)
    if (pid === null) throw new Error(`${name} does not run`)
    process.kill(pid, signal)
  }

  /** Every process of the box but its holder. */
  processes(): number[] {
    return pids().filter((pid) => pid !== this.pid && mountNamespace(pid) === this.#namespace)
  }

  lastWords(name: string): string {
    const text = readOr(join(this.addresses.folder, 'logs', `${name}.log`), '')
    return text.trimEnd().split('\n').slice(-5).join('\n')
  }

  #started(name: string): Started {
    return Started.parse(JSON.parse(readFileSync(join(this.addresses.folder, 'run', `${name}.json`), 'utf8')))
  }
}

const kubeletSysctls = { 'vm.overcommit_memory': 1, 'kernel.panic': 10, 'kernel.panic_on_oops': 1 }

export const pids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)

export function mountNamespace(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    // Ended, or a zombie.
    return null
  }
}

function threadsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length
  } catch {
    // Reaped in the meantime.
    return 0
  }
}

export const commandOf = (pid: number): string => readOr(`/proc/${pid}/comm`, '').trim()

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
