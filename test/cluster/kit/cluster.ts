/**
 * A real single-node Kubernetes for tests, without a container engine: etcd, apiserver, controllers, scheduler, and where wanted a
 * node with containerd, kubelet, kube-proxy and DNS. Linux and root; `whyNoCluster(extent)` says in one line why not here.
 *
 *   await using cluster = await up({ extent: 'api' })              // etcd + apiserver: 4 s. CRDs, CEL, RBAC, watches, leases
 *   await using cluster = await up({ extent: 'control-plane' })    // + controllers, scheduler: service accounts, garbage collection
 *   await using cluster = await up({ extent: 'all' })              // + a node: pods run, DNS, services; images from files only
 *
 *   cluster.kubeconfig                                    // path; certificates embedded; usable from the host
 *   await cluster.kubectl('get', 'pods', '-A')            // stdout; throws with kubectl's words
 *   await cluster.apply(yaml)                             // kubectl apply of a text
 *   await cluster.get('pods', '-n', 'x')                  // parsed -o json
 *   await cluster.read('/api/v1/namespaces/x/pods')       // the same without a program: for waits, which ask often
 *   await cluster.helm('install', …)
 *   await cluster.restart('etcd', 'SIGKILL')              // also kube-apiserver, kubelet, …; resolves when the API is ready again
 *   cluster.freeze('kubelet'); cluster.thaw('kubelet')
 *   cluster.audit()                                       // who wrote what (and all that service accounts asked for)
 *
 * The cluster ends with `await using`, with `down()`, or with the process that started it, whatever ends that. In a test file of
 * the vitest project "cluster" use `describeCluster()` of sharedCluster.ts instead: one cluster for all files of a run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { pathOf, resources } from '../../../operator/kubernetes/core/objects.ts'
import { type Addresses, addressesOf, slotOf, takeSlot } from './addresses.ts'
import { apiReader, type ReadApi } from './api.ts'
import { type AuditEntry, AuditLog } from './audit.ts'
import { Box, commandOf } from './box.ts'
import { makeCertificates, userKubeconfig } from './certificates.ts'
import { attempt, type Ended, run, type RunOptions, waitFor } from './commands.ts'
import { apiReady, auditLog, type ControlPlaneOptions, ready, startApi, startControllers } from './controlPlane.ts'
import { startDns } from './dns.ts'
import type { Image } from './image.ts'
import { importImages, infrastructureImages } from './imageSet.ts'
import { containerImages, startContainerd, startNode } from './node.ts'
import { type Extent, programPath, whyNoCluster } from './programs.ts'
import { takeDown } from './teardown.ts'

export { type Extent, whyNoCluster } from './programs.ts'
export { waitFor } from './commands.ts'

export type Component =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy'
  | 'kwok'

export interface UpOptions extends ControlPlaneOptions {
  readonly extent: Extent
  /**
   * Files of definitions that are there before the controllers are: the garbage collector looks for new kinds only every half
   * minute, and until then whatever belongs to a deleted object of such a kind stays.
   */
  readonly definitions?: readonly string[]
}

/** Throws, with nothing left behind, where it does not come up. */
export async function up(options: UpOptions): Promise<Cluster> {
  const reservation = await reserve()
  try {
    const cluster = await bringUp(reservation.folder, options)
    cluster.owner = reservation
    return cluster
  } catch (error) {
    await reservation.release()
    throw error
  }
}

export interface Reservation {
  readonly folder: string
  /** Takes the cluster down, if one came up; throws where something is left. */
  release(): Promise<void>
}

/** A slot and its reaper, without a cluster: for whoever outlives the process that starts it. */
export async function reserve(): Promise<Reservation> {
  const addresses = await takeSlot(freeStale)
  const { folder } = addresses
  const reaper = spawn(process.execPath, [join(import.meta.dirname, 'reaper.ts'), folder], {
    detached: true,
    stdio: ['pipe', 'inherit', 'pipe'],
  })
  writeFileSync(join(folder, 'reaper.pid'), String(reaper.pid))
  reaper.unref()
  const words: string[] = []
  reaper.stderr.setEncoding('utf8').on('data', (text: string) => void words.push(text))
  return { folder, release: () => letReap(reaper, words) }
}

async function letReap(reaper: ChildProcess, words: readonly string[]): Promise<void> {
  if (reaper.exitCode !== null) return
  reaper.ref()
  const ended = once(reaper, 'exit')
  reaper.stdin?.end()
  await ended
  if (reaper.exitCode !== 0) throw new Error(words.join('').trim() || `reaper: exit ${reaper.exitCode}`)
}

/** A slot whose reaper died (kill -9 of everything) is taken down by the next one who looks for a place. */
async function freeStale(addresses: Addresses): Promise<boolean> {
  const file = join(addresses.folder, 'reaper.pid')
  if (!existsSync(file)) return false
  const pid = Number(readFileSync(file, 'utf8'))
  if (isReaper(pid, addresses.folder)) return false
  return (await takeDown(addresses)).length === 0
}

function isReaper(pid: number, folder: string): boolean {
  return commandOf(pid) !== '' && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(folder)
}

/** Starts a cluster in a reserved folder. */
export async function bringUp(folder: string, options: UpOptions): Promise<Cluster> {
  const why = whyNoCluster(options.extent)
  if (why !== null) throw new Error(why)
  const addresses = addressesOf(slotOf(folder))
  const [box] = await Promise.all([Box.create(addresses), makeCertificates(addresses)])
  const cluster = new Cluster(box)
  await together(
    startControlPlane(cluster, box, options),
    options.extent === 'all' ? startContainers(box) : Promise.resolve(),
  )
  if (options.extent === 'all') await startAll(cluster, box)
  return cluster
}

/** One does not need the other, and both wait much of their time. Resolves or throws when both have ended: nothing starts later. */
async function together(...parts: readonly Promise<void>[]): Promise<void> {
  for (const ended of await Promise.allSettled(parts)) if (ended.status === 'rejected') throw ended.reason
}

async function startControlPlane(cluster: Cluster, box: Box, options: UpOptions): Promise<void> {
  await startApi(box, options)
  await define(cluster, options.definitions ?? [])
  if (options.extent !== 'api') await startControllers(box, options)
}

async function startContainers(box: Box): Promise<void> {
  await startContainerd(box)
  await importImages(box, infrastructureImages())
}

async function define(cluster: Cluster, files: readonly string[]): Promise<void> {
  if (files.length === 0) return
  const named = files.flatMap((file) => ['-f', file])
  await cluster.kubectl('apply', '--server-side', ...named)
  await cluster.kubectl('wait', '--for=condition=Established', '--timeout=60s', ...named)
}

const Node = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
})

async function startAll(cluster: Cluster, box: Box): Promise<void> {
  await startNode(box)
  const { nodeName } = cluster.addresses
  await waitFor(
    { what: 'the node to be ready', waitMsMax: 90_000, explain: () => box.lastWords('kubelet') },
    async () => {
      const { status } = Node.parse(await cluster.read(`/api/v1/nodes/${nodeName}`))
      return status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True')
    },
  )
  await startDns(cluster)
}

/** The cluster in this folder that some process of ours keeps; throws where there is none. */
export function attach(folder: string): Cluster {
  const box = Box.find(addressesOf(slotOf(folder)))
  if (box === null) throw new Error(`no cluster runs in ${folder}`)
  return new Cluster(box)
}

export class Cluster implements AsyncDisposable {
  readonly addresses: Addresses
  readonly kubeconfig: string
  /** Set where this process keeps the cluster. */
  owner: Reservation | null = null
  readonly #box: Box
  readonly #audit: AuditLog
  readonly #read: ReadApi

  constructor(box: Box) {
    this.#box = box
    this.#audit = new AuditLog(auditLog(box.addresses))
    this.#read = apiReader(box.addresses)
    this.addresses = box.addresses
    this.kubeconfig = join(box.addresses.folder, 'admin.kubeconfig')
  }

  get folder(): string {
    return this.addresses.folder
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return run(programPath('kubectl'), args, { environment: this.environment })
  }

  /** kubectl with its exit code and both streams: for what is expected to be refused. */
  tryKubectl(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return attempt(programPath('kubectl'), args, { ...options, environment: this.environment })
  }

  /** `kubectl apply` of a YAML or JSON text. */
  apply(text: string, ...args: readonly string[]): Promise<string> {
    return run(programPath('kubectl'), ['apply', '-f', '-', ...args], { input: text, environment: this.environment })
  }

  /** What the API has at this path, parsed: for waits, which ask often. A test checks its shape itself. */
  async read(path: string): Promise<unknown> {
    return JSON.parse(await this.#read(path))
  }

  /** Objects of a kind that we deal with, read in this way. */
  list(kind: keyof typeof resources, namespace: string, selector = ''): Promise<unknown> {
    return this.read(`${pathOf(resources[kind], namespace)}?labelSelector=${encodeURIComponent(selector)}`)
  }

  /** `kubectl get … -o json`, parsed; a test checks its shape itself. */
  async get(...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.kubectl('get', ...args, '-o', 'json'))
  }

  helm(...args: readonly string[]): Promise<string> {
    return run(programPath('helm'), args, { environment: this.environment, waitMsMax: 300_000 })
  }

  /** `helm upgrade --install …` with values merged in this order. */
  helmWith(values: readonly object[], args: readonly string[]): Promise<string> {
    const files = values.flatMap((value) => {
      const path = join(this.folder, `values-${crypto.randomUUID()}.yaml`)
      writeFileSync(path, JSON.stringify(value))
      return ['--values', path]
    })
    return this.helm('upgrade', '--install', ...args, ...files)
  }

  /** What kubectl, helm and clients need to find this cluster and nothing of the person's own. */
  get environment(): Record<string, string> {
    const helm = (name: string) => join(this.folder, 'helm', name)
    return {
      KUBECONFIG: this.kubeconfig,
      HELM_CACHE_HOME: helm('cache'),
      HELM_CONFIG_HOME: helm('config'),
      HELM_DATA_HOME: helm('data'),
    }
  }

  /** A kubeconfig for another user (and groups), by client certificate. */
  kubeconfigOf(user: string, groups: readonly string[] = []): Promise<string> {
    return userKubeconfig(this.addresses, user, groups)
  }

  signal(component: Component, signal: NodeJS.Signals): void {
    this.#box.signal(component, signal)
  }

  freeze(component: Component): void {
    this.signal(component, 'SIGSTOP')
  }

  thaw(component: Component): void {
    this.signal(component, 'SIGCONT')
  }

  /** Ends a component and starts it again with the same command line; resolves when the API answers. */
  async restart(component: Component, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.stop(component, signal)
    await this.start(component)
  }

  async stop(component: Component, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(component, signal)
    await waitFor({ what: `${component} to end`, waitMsMax: 30_000, everyMs: 20 }, () =>
      Promise.resolve(this.#box.hasEnded(component)),
    )
  }

  /** Resolves when it works again: a kubelet that does not find containerd at its start, for one, ends. */
  async start(component: Component): Promise<void> {
    await this.#box.startAgain(component)
    await apiReady(this.#box)
    if (component === 'containerd')
      await ready(this.#box, component, 30_000, () => containerImages(this.#box, ['ls', '-q']))
    const health = `/api/v1/nodes/${this.addresses.nodeName}/proxy/healthz`
    if (component === 'kubelet') await ready(this.#box, component, 60_000, () => this.#read(health))
  }

  pidOf(component: Component): number | null {
    return this.#box.pidOf(component)
  }

  /** Starts a program of ours inside (it may use the node's address); it ends with the cluster. */
  startBeside(name: string, program: string, args: readonly string[]): Promise<void> {
    return this.#box.start(name, program, args)
  }

  /** Runs a program in the network and mounts of the node. */
  runInside(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.#box.run(program, args, options)
  }

  lastWords(component: Component): string {
    return this.#box.lastWords(component)
  }

  /** Loads images into the node. */
  loadImages(images: readonly Image[]): Promise<void> {
    return importImages(this.#box, images)
  }

  /** Entries of the API's audit log, oldest first. */
  audit(): readonly AuditEntry[] {
    return this.#audit.entries()
  }

  async down(): Promise<void> {
    await this.owner?.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down()
  }
}
