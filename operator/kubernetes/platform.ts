/**
 * The platform of a cluster: pairs are ModelDeployments in the API server, workers are pods, status is written back.
 *
 * Decides nothing. What it answers comes from caches that hold everything it wrote itself, so no plan is made on a state from
 * before an own write; every write is safe to repeat. Sole writer of the crash history (in memory: an operator that has just
 * started gives every pair a fresh chance).
 */
import { Failure } from '#contracts/failure.ts'
import { DeploymentName, type Revision, WorkerId } from '#contracts/ids.ts'
import { type ModelDeploymentStatus, type ModelFile } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { afterCrash, endedInOrder } from '../core/backOff.ts'
import { type Crashes, type Desired, filesOf, type NameOwner } from '../core/observed.ts'
import type { DrainReason } from '../core/plan.ts'
import type { RevisionHistory } from '../core/revision.ts'
import type { Platform, PlatformView, PlatformWorker, WorkerOrder } from '../platform.ts'
import type { Heard } from '../reports.ts'
import { Belongings } from './belongings.ts'
import type { KubernetesClient } from './client.ts'
import { replicasOf } from './core/belongings.ts'
import type { NameClaims } from './core/claims.ts'
import { createdOf, type KnownDeployment, type KnownSpec, knownSpec, readDeployment } from './core/deployments.ts'
import { drainFinalizer, labels, ownerOf, workerName } from './core/names.ts'
import { imageOf, type PodPlace, workerPod } from './core/podSpec.ts'
import { endOf, isEnded, waitsFor } from './core/podState.ts'
import type { EventRecorder, Occurrence } from './events.ts'
import { type DeploymentObject, isDeleting, nameOf, type Pod, resources, uidOf } from './core/objects.ts'
import { PodLives } from './podLives.ts'
import { StatusWriter } from './statusWriter.ts'
import type { Change, Watches } from './watches.ts'

export interface ClusterPlatformOptions {
  readonly client: KubernetesClient
  readonly watches: Watches
  readonly recorder: EventRecorder
  readonly place: PodPlace
  readonly clock: Clock
  /** The wall clock, which only people read. */
  readonly nowIso: () => string
  readonly random: () => number
  readonly log: Log
  /** What a worker last said of itself. */
  readonly lastHeard: (worker: WorkerId) => Heard | null
  readonly names: NameClaims
  /** These may have more or fewer names now. */
  readonly onNames: (owners: readonly NameOwner[]) => void
  /** The files that a pair uses from now on. */
  readonly onUse: (name: string, files: readonly ModelFile[]) => void
  readonly upkeepModels: (name: string) => Promise<void>
}

interface Memory {
  crashes: Crashes | null
  restarts: number
  /** Why the cluster does not take this pair's pods; empty while it does. */
  refused: readonly string[]
  /** Pods of which it is not known whether they were made: their names are used again, so that none is made twice. */
  unsure: { readonly revision: Revision; readonly worker: WorkerId }[]
}

/** A kill first asks the node; a node that does not answer for this long is passed over. */
const forceAfterMs = 10_000

export class ClusterPlatform implements Platform {
  readonly #options: ClusterPlatformOptions
  readonly #belongings: Belongings
  readonly #deployments = new Map<string, KnownDeployment>()
  readonly #memory = new Map<string, Memory>()
  readonly #lives: PodLives
  readonly #status: StatusWriter
  readonly #onChange: ((name: DeploymentName) => void)[] = []
  readonly #onWorkerEnd: ((worker: WorkerId) => void)[] = []

  constructor(options: ClusterPlatformOptions) {
    this.#options = options
    this.#belongings = new Belongings(options)
    this.#lives = new PodLives(options.clock)
    this.#status = new StatusWriter({
      ...options,
      onDue: (name) => this.announce(name),
      say: (name, occurrence) => this.#say(name, occurrence),
    })
  }

  /** Pairs that cannot be taken at all. */
  get problems(): readonly string[] {
    return [...this.#deployments.values()].flatMap(({ name, problems }) => problems.map((text) => `${name}: ${text}`))
  }

  names(): readonly DeploymentName[] {
    const own = [...this.#deployments.values()].map(({ name }) => name)
    const left = [...this.#options.watches.deploymentsWithPods()].filter((name) => !this.#deployments.has(name))
    const orphaned = left.flatMap((name) => DeploymentName.safeParse(name).data ?? [])
    return [...own, ...orphaned].filter((name) => !this.#isHeld(name))
  }

  deploymentOf(name: string): KnownDeployment | undefined {
    return this.#deployments.get(name)
  }

  view(name: DeploymentName): PlatformView {
    const deployment = this.#deployments.get(name)
    const memory = this.#memory.get(name)
    return {
      desired: this.#desiredOf(name),
      workers: this.#workersOf(name),
      crashes: memory?.crashes ?? null,
      restarts: memory?.restarts ?? 0,
      status: deployment === undefined ? null : this.#status.of(deployment.object),
      history: this.#belongings.historyOf(name),
      problems: [...(deployment?.problems ?? []), ...(memory?.refused ?? [])],
    }
  }

  async prepare(name: DeploymentName): Promise<void> {
    await this.#removeEnded(name)
    const deployment = this.#deployments.get(name)
    if (deployment === undefined || isDeleting(deployment.object)) return
    this.#options.onUse(name, this.#filesOf(deployment))
    await this.#addFinalizer(deployment.object)
  }

  async upkeep(name: DeploymentName): Promise<void> {
    const deployment = this.#deployments.get(name)
    if (deployment === undefined || isDeleting(deployment.object)) return
    const replicas = replicasOf(this.#specOf(deployment)?.spec ?? null, this.#status.of(deployment.object))
    await this.#belongings.upkeep(name, deployment.object, replicas)
    await this.#options.upkeepModels(name)
  }

  async startWorker(order: WorkerOrder): Promise<void> {
    const { client, watches, random } = this.#options
    const deployment = this.#deployments.get(order.deployment)
    if (deployment === undefined || isDeleting(deployment.object)) return
    const memory = this.#remember(order.deployment)
    const worker = this.#takeUnsure(memory, order.revision) ?? workerName(order.deployment, order.revision, random)
    const pod = this.#podOf(order, worker, deployment.object)
    try {
      const created = await client.create(resources.pods, pod)
      const object = created.kind === 'created' ? created.object : await client.get(resources.pods, worker)
      if (object !== null) watches.pods.remember(object)
      memory.refused = []
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (error.code === 'cluster-refused') memory.refused = [error.message]
      // It may have been made all the same: nobody heard the answer.
      else memory.unsure.push({ revision: order.revision, worker })
      throw error
    }
    this.#say(order.deployment, started(worker, order.revision))
  }

  async drainWorker(worker: WorkerId, why: DrainReason): Promise<void> {
    const pod = this.#options.watches.pods.get(worker)
    if (pod === undefined || isDeleting(pod)) return
    await this.#remove(pod)
    this.#say(deploymentOf(pod), { ...normal, reason: 'WorkerDraining', action: 'Draining', note: `${worker}: ${why}` })
  }

  async killWorker(worker: WorkerId, why: 'grace-over' | 'unresponsive'): Promise<void> {
    const { watches, clock } = this.#options
    const pod = watches.pods.get(worker)
    if (pod === undefined) return
    const life = this.#lives.of(pod)
    const { killedSince } = life
    if (killedSince !== null && clock.now() - killedSince < forceAfterMs) return
    // First through its node, which then knows that the process has gone; without the node's word if it gives none.
    await this.#remove(pod, killedSince === null ? 1 : 0)
    if (killedSince !== null) return
    life.killedSince = clock.now()
    if (why === 'unresponsive') this.#count(pod, `worker ${worker} fell silent and was killed`)
    this.#say(deploymentOf(pod), { ...warning, reason: 'WorkerKilled', action: 'Killing', note: `${worker}: ${why}` })
  }

  async writeStatus(name: DeploymentName, status: ModelDeploymentStatus): Promise<void> {
    const deployment = this.#deployments.get(name)
    if (deployment !== undefined) await this.#status.write(deployment.object, status)
  }

  async writeHistory(name: DeploymentName, history: RevisionHistory): Promise<void> {
    const deployment = this.#deployments.get(name)
    if (deployment === undefined || isDeleting(deployment.object)) return
    await this.#belongings.writeHistory(name, deployment.object, history)
  }

  async forget(name: DeploymentName): Promise<void> {
    const { client } = this.#options
    const object = this.#deployments.get(name)?.object
    if (object === undefined) {
      this.#memory.delete(name)
      this.#status.forget(name)
      return
    }
    const { uid, resourceVersion, finalizers = [] } = object.metadata ?? {}
    if (!isDeleting(object) || !finalizers.includes(drainFinalizer)) return
    const left = finalizers.filter((finalizer) => finalizer !== drainFinalizer)
    const patch = { metadata: { uid, resourceVersion, finalizers: left } }
    const result = await client.merge(resources.deployments, name, patch)
    if (result.kind === 'changed') this.#options.watches.deployments.remember(result.object)
  }

  onChange(handler: (name: DeploymentName) => void): void {
    this.#onChange.push(handler)
  }

  onWorkerEnd(handler: (worker: WorkerId) => void): void {
    this.#onWorkerEnd.push(handler)
  }

  /** From the watch of ModelDeployments. */
  deploymentChanged(name: string, { now }: Change<DeploymentObject>): void {
    const known =
      now === undefined ? null : readDeployment(now, this.#deployments.get(name), this.#options.place.config)
    this.#options.onNames(known === null ? this.#dropDeployment(name) : this.#takeDeployment(known))
    this.announce(name)
  }

  /** From the watch of pods. */
  podChanged({ before, now }: Change<Pod>): void {
    const pod = now ?? before
    if (pod === undefined) return
    if (now !== undefined) this.#lives.follow(now)
    if (now === undefined || isEnded(now)) this.#end(pod)
    if (now === undefined) this.#lives.forget(pod)
    this.announce(deploymentOf(pod))
  }

  /** From the watches of what stands beside the workers; with its pair it goes by itself. */
  belongingChanged(name: string): void {
    if (this.#deployments.has(name)) this.announce(name)
  }

  /** Something of this pair may have changed. */
  announce(name: string): void {
    const parsed = DeploymentName.safeParse(name)
    if (!parsed.success || this.#isHeld(name)) return
    for (const handler of this.#onChange) handler(parsed.data)
  }

  #takeDeployment(known: KnownDeployment): NameOwner[] {
    const isSame = this.#deployments.get(known.name)?.known === known.known
    this.#deployments.set(known.name, known)
    // Another spec may be taken.
    if (!isSame) this.#remember(known.name).refused = []
    if (this.#isHeld(known.name)) void this.#status.refuse(known)
    if (isSame || known.known === null) return []
    const created = known.object.metadata?.creationTimestamp ?? ''
    const { servedNames } = known.known.spec
    return this.#options.names.set({ kind: 'deployment', name: known.name, servedNames, created })
  }

  #dropDeployment(name: string): NameOwner[] {
    this.#deployments.delete(name)
    this.#options.onUse(name, [])
    return this.#options.names.remove({ kind: 'deployment', name })
  }

  /** Nothing that could be taken is known of it: its workers are left as they are until it is corrected. */
  #isHeld(name: string): boolean {
    const deployment = this.#deployments.get(name)
    return deployment !== undefined && !isDeleting(deployment.object) && this.#specOf(deployment) === null
  }

  /** The newest spec that can be taken; after a restart of the operator that may be one of the history. */
  #specOf(deployment: KnownDeployment): KnownSpec | null {
    if (deployment.known !== null) return deployment.known
    const last = this.#belongings.historyOf(deployment.name)[0]
    return last === undefined ? null : knownSpec(last.spec, this.#options.place.config)
  }

  /** Of what it asks for, and of what it could go back to. */
  #filesOf(deployment: KnownDeployment): ModelFile[] {
    const good = this.#belongings.historyOf(deployment.name).find(({ state }) => state === 'good')
    const specs = [this.#specOf(deployment)?.spec, good?.spec].filter((spec) => spec !== undefined)
    return specs.flatMap(filesOf)
  }

  #desiredOf(name: string): Desired | null {
    const deployment = this.#deployments.get(name)
    if (deployment === undefined || isDeleting(deployment.object)) return null
    const known = this.#specOf(deployment)
    if (known === null) return null
    const { object } = deployment
    const { spec, image, revision } = known
    const generation = object.metadata?.generation ?? 0
    const names = this.#options.names.grantOf({ kind: 'deployment', name })
    return { generation, revision, spec, image, created: createdOf(object), ...names }
  }

  #workersOf(name: string): PlatformWorker[] {
    return this.#options.watches.podsOf(name).flatMap((pod) => {
      const worker = WorkerId.safeParse(nameOf(pod)).data
      const revision = pod.metadata?.labels?.[labels.revision]
      if (worker === undefined || revision === undefined || isEnded(pod)) return []
      const { seenAt, runningSince, deletingSince } = this.#lives.of(pod)
      const state = { startedAt: seenAt, runningSince, drainAskedAt: deletingSince, waitsFor: waitsFor(pod), pid: null }
      return [{ worker, revision: revision as Revision, ...state }]
    })
  }

  #podOf(order: WorkerOrder, worker: WorkerId, object: DeploymentObject): Pod {
    const { spec } = order
    const { place } = this.#options
    const image = order.image ?? imageOf(spec, place.config)
    const owner = ownerOf(object, resources.deployments, true)
    return workerPod({ ...order, worker, files: filesOf(spec), image, owner }, place)
  }

  /** A name that may have been used already, unless its pod has been seen meanwhile. */
  #takeUnsure(memory: Memory, revision: Revision): WorkerId | null {
    memory.unsure = memory.unsure.filter(({ worker }) => this.#options.watches.pods.get(worker) === undefined)
    const at = memory.unsure.findIndex((intent) => intent.revision === revision)
    return at < 0 ? null : (memory.unsure.splice(at, 1)[0]?.worker ?? null)
  }

  async #addFinalizer(object: DeploymentObject): Promise<void> {
    const { uid, resourceVersion, finalizers = [] } = object.metadata ?? {}
    if (finalizers.includes(drainFinalizer)) return
    const patch = { metadata: { uid, resourceVersion, finalizers: [...finalizers, drainFinalizer] } }
    const result = await this.#options.client.merge(resources.deployments, nameOf(object), patch)
    // A conflict means that a newer version is on its way here; it brings this pair back.
    if (result.kind === 'changed') this.#options.watches.deployments.remember(result.object)
  }

  async #removeEnded(name: string): Promise<void> {
    const ended = this.#options.watches.podsOf(name).filter((pod) => isEnded(pod) && !isDeleting(pod))
    for (const pod of ended) await this.#remove(pod, 0)
  }

  async #remove(pod: Pod, graceSeconds?: number): Promise<void> {
    const { client, watches } = this.#options
    const grace = graceSeconds === undefined ? {} : { graceSeconds }
    const removed = await client.remove(resources.pods, nameOf(pod), { uid: uidOf(pod), ...grace })
    if (removed.kind === 'removing' && removed.object !== null && graceSeconds !== 0)
      watches.pods.remember(removed.object)
  }

  #end(pod: Pod): void {
    const life = this.#lives.of(pod)
    if (life.ended) return
    life.ended = true
    const { lastHeard, log } = this.#options
    const worker = WorkerId.safeParse(nameOf(pod)).data
    if (worker === undefined) return
    const { code, message } = endOf(pod)
    const drained = endedInOrder(code, lastHeard(worker)?.report.state ?? null)
    const asked = life.deletingSince !== null || life.killedSince !== null
    if (asked || drained || !isEnded(pod)) log.info({ worker, code }, 'worker ended')
    else this.#count(pod, message)
    for (const handler of this.#onWorkerEnd) handler(worker)
  }

  /** It ended by itself, or had to be. */
  #count(pod: Pod, message: string): void {
    const { clock, random, log, lastHeard } = this.#options
    const name = deploymentOf(pod)
    const memory = this.#remember(name)
    const since = lastHeard(nameOf(pod) as WorkerId)?.readySince ?? null
    const now = clock.now()
    const end = {
      revision: (pod.metadata?.labels?.[labels.revision] ?? '') as Revision,
      message,
      readyMs: since === null ? 0 : now - since,
    }
    memory.crashes = afterCrash(memory.crashes, end, now, random())
    memory.restarts += 1
    log.warn({ worker: nameOf(pod), end: message, inARow: memory.crashes.inARow }, 'worker ended by itself')
    this.#say(name, { ...warning, reason: 'WorkerEnded', action: 'Restarting', note: message })
  }

  #remember(name: string): Memory {
    const memory = this.#memory.get(name) ?? { crashes: null, restarts: 0, refused: [], unsure: [] }
    this.#memory.set(name, memory)
    return memory
  }

  #say(name: string, occurrence: Occurrence): void {
    const object = this.#deployments.get(name)?.object
    if (object !== undefined) this.#options.recorder.say(object, occurrence)
  }
}

const normal = { type: 'Normal' } as const
const warning = { type: 'Warning' } as const
const deploymentOf = (pod: Pod): string => pod.metadata?.labels?.[labels.deployment] ?? ''

function started(worker: WorkerId, revision: Revision): Occurrence {
  return { ...normal, reason: 'WorkerStarted', action: 'Starting', note: `${worker} of revision ${revision}` }
}
