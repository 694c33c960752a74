/**
 * One lane per deployment: its fair queue, and the only place where a job leaves it for a worker.
 *
 * Work is placed when something changed that can let a job go: it arrived, a worker reported, ended a job, or became live.
 * Owns the queues; `requests.ts` owns what happens to a job that is refused, displaced or expired here.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import { FairQueue } from './core/admit.ts'
import { candidates, type Picked, type PickRule } from './core/pick.ts'
import { type PickPlan, planPick } from './core/pickPlan.ts'
import type { Need } from './core/prompt.ts'
import type { Worker, WorkerTable } from './core/workers.ts'
import { decideYield, notYielding, onNothingToSend, onServedElsewhere, type Yielding } from './core/yielding.ts'
import { canCompute, ExpertLane, isEmbedding } from './expertLane.ts'
import { type HoldEvents, Holds, heldTooLong, holdsFromZero, isHeldTooLong } from './holds.ts'
import type { Depth } from './metrics.ts'
import { type Job, jobNeed } from './request.ts'

export interface LanesOptions {
  readonly clock: Clock
  readonly workers: WorkerTable
  readonly pick: PickRule
  /** Sends the job; called once per placement. */
  readonly send: (job: Job, picked: Picked) => void
  /** The job was waiting and no longer is; the caller ends it with this. */
  readonly drop: (job: Job, failure: Failure) => void
  readonly held: HoldEvents
}

interface Lane {
  readonly queue: FairQueue<Job>
  /** To tenants that wait at other routers. */
  yielding: Yielding
  /** Null: the pair has no experts. */
  experts: ExpertLane | null
  /** Since when no worker at all is known; null while there is one. */
  workerlessSince: number | null
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #lanes = new Map<DeploymentName, Lane>()
  readonly #holds: Holds

  constructor(options: LanesOptions) {
    this.#options = options
    this.#holds = new Holds(options.held, options.clock)
  }

  /** Null: it waits or is already sent. */
  offer(job: Job): Failure | null {
    const { model } = job.request.routed
    const isWorkerless = this.#options.workers.of(model.deployment).length === 0
    if (isWorkerless && !holdsFromZero(model)) return noWorker(model.deployment)
    const { queue } = this.#lane(model)
    const offered = queue.offer(job)
    if (offered.kind === 'full') return queueFull(model, queue, offered.bound)
    for (const displaced of offered.displaced) this.#drop(displaced, queueFull(model, queue, 'requests'))
    if (isWorkerless) this.#holds.begin(job)
    else this.place(model.deployment)
    return null
  }

  /** For a job that was sent and must go elsewhere: it is next of its tenant. */
  putBack(job: Job): void {
    this.#lane(job.request.routed.model).queue.putBack(job)
    this.place(job.request.routed.model.deployment)
  }

  remove(job: Job): void {
    this.#holds.end(job, 'left')
    this.#lanes.get(job.request.routed.model.deployment)?.queue.remove(job)
  }

  charge(job: Job, tokens: number): void {
    this.#lanes.get(job.request.routed.model.deployment)?.queue.charge(job.tenant, tokens)
  }

  depth(deployment: DeploymentName): Depth {
    const queue = this.#lanes.get(deployment)?.queue
    const requests = queue?.length ?? 0
    const isHeld = requests > 0 && this.#options.workers.of(deployment).length === 0
    return { requests, bytes: queue?.bytes ?? 0, held: isHeld ? requests : 0 }
  }

  deployments(): IterableIterator<DeploymentName> {
    return this.#lanes.keys()
  }

  placeAll(): void {
    for (const deployment of this.#lanes.keys()) this.place(deployment)
  }

  /** Sends waiting jobs, in fair order, while there is a worker for the next one. */
  place(deployment: DeploymentName): void {
    const lane = this.#lanes.get(deployment)
    if (lane === undefined) return
    const { queue, experts } = lane
    if (experts !== null) return this.#placeExperts(deployment, lane, experts)
    for (let job = queue.peek(); job !== undefined; job = queue.peek()) {
      const picked = this.#pickFor(job, deployment)
      if (picked === null) break
      if (this.#mustYield(lane)) return
      queue.take()
      this.#place(job, picked, queue)
    }
    lane.yielding = onNothingToSend(lane.yielding)
  }

  #placeExperts(deployment: DeploymentName, lane: Lane, experts: ExpertLane): void {
    const { queue } = lane
    for (;;) {
      const now = this.#options.clock.now()
      const live = this.#options.workers.of(deployment).filter((worker) => this.#isLive(worker, now))
      const eligible = candidates(live, { excluded: [], now, isLive: () => true })
      const first = queue.peek()
      const embedding = first !== undefined && isEmbedding(first) ? this.#withPick(first) : null
      const next =
        embedding ??
        experts.next({ queue, eligible, live, now }) ??
        // Nobody of an expert can go now: that must not hold up who needs none.
        this.#withPick(experts.nextEmbedding(queue))
      if (next === null) break
      if (this.#mustYield(lane)) return
      queue.takeItem(next.job)
      this.#place(next.job, next.picked, queue)
    }
    lane.yielding = onNothingToSend(lane.yielding)
  }

  #place(job: Job, picked: Picked, queue: FairQueue<Job>): void {
    this.#holds.end(job, 'placed')
    queue.charge(job.tenant, job.promptTokensEstimate)
    this.#options.send(job, picked)
  }

  /** Of each job that waits the expert; null: the model as it is. */
  *waitingExperts(deployment: DeploymentName): Generator<string | null> {
    for (const { expert } of this.#lanes.get(deployment)?.queue.items() ?? []) yield expert
  }

  /** There is room, and somebody who is behind waits for it elsewhere. */
  #mustYield(lane: Lane): boolean {
    const { waits, state } = decideYield(lane.yielding, lane.queue.yields, this.#options.clock.now())
    lane.yielding = state
    return waits
  }

  *queues(): Generator<readonly [DeploymentName, FairQueue<Job>]> {
    for (const [deployment, { queue }] of this.#lanes) yield [deployment, queue]
  }

  /** Others have said whom they served, and who waits there. */
  heardElsewhere(deployment: DeploymentName, wasServed: boolean): void {
    const lane = this.#lanes.get(deployment)
    if (lane === undefined) return
    if (wasServed) lane.yielding = onServedElsewhere(lane.yielding)
    this.place(deployment)
  }

  /** Who would get it now; nothing is sent. */
  plan(deployment: DeploymentName, need: Need): PickPlan {
    const { workers, clock, pick } = this.#options
    const now = clock.now()
    return planPick(workers.of(deployment), need, { now, pick, standing: (worker) => workers.standing(worker, now) })
  }

  /** Is there a live worker that this job may still go to and that can compute it, free or not? */
  hasOther(job: Job): boolean {
    const now = this.#options.clock.now()
    return this.#options.workers
      .of(job.request.routed.model.deployment)
      .some(
        (worker) => !job.excluded.includes(worker.id) && canCompute(worker, job.expert) && this.#isLive(worker, now),
      )
  }

  sweep(): void {
    const now = this.#options.clock.now()
    for (const [deployment, lane] of this.#lanes) {
      if (this.#options.workers.of(deployment).length > 0) lane.workerlessSince = null
      else this.#sweepWorkerless(deployment, lane, now)
      for (const job of lane.queue.expire(now)) this.#drop(job, waitedTooLong(job))
    }
    this.placeAll()
  }

  /** A deployment that is gone keeps its lane until nothing waits in it. */
  forget(deployment: DeploymentName): void {
    if (this.depth(deployment).requests === 0) this.#lanes.delete(deployment)
  }

  #sweepWorkerless(deployment: DeploymentName, lane: Lane, now: number): void {
    for (const job of lane.queue.removeWhere((each) => isHeldTooLong(each, now))) this.#drop(job, heldTooLong(job, now))
    lane.workerlessSince ??= now
    if (now - lane.workerlessSince < limits.queue.noWorkerWaitMs) return
    for (const job of lane.queue.removeWhere((each) => !holdsFromZero(each.request.routed.model)))
      this.#drop(job, noWorker(deployment))
  }

  #drop(job: Job, failure: Failure): void {
    this.#holds.end(job, 'expired')
    this.#options.drop(job, failure)
  }

  #pickFor(job: Job, deployment: DeploymentName): Picked | null {
    const now = this.#options.clock.now()
    const eligible = candidates(this.#options.workers.of(deployment), {
      excluded: job.excluded,
      now,
      isLive: (worker) => this.#isLive(worker, now),
    })
    return eligible.length === 0 ? null : this.#options.pick(eligible, jobNeed(job))
  }

  #withPick(job: Job | null): { readonly job: Job; readonly picked: Picked } | null {
    const picked = job === null ? null : this.#pickFor(job, job.request.routed.model.deployment)
    return job === null || picked === null ? null : { job, picked }
  }

  #isLive(worker: Worker, now: number): boolean {
    return this.#options.workers.standing(worker, now) === 'live'
  }

  #lane(model: ModelRecord): Lane {
    const found = this.#lanes.get(model.deployment)
    if (found !== undefined) {
      found.queue.bounds = model.queue
      if (model.experts.length > 0) found.experts ??= new ExpertLane()
      return found
    }
    const experts = model.experts.length > 0 ? new ExpertLane() : null
    const lane = { queue: new FairQueue<Job>(model.queue), yielding: notYielding, experts, workerlessSince: null }
    this.#lanes.set(model.deployment, lane)
    return lane
  }
}

function noWorker(deployment: DeploymentName): Failure {
  return new Failure('no-worker', `no live worker serves ${deployment} at present; try again shortly`, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}

function queueFull(model: ModelRecord, queue: FairQueue<Job>, bound: 'requests' | 'bytes'): Failure {
  const state =
    bound === 'requests'
      ? `${queue.length} of ${model.queue.requestsMax} requests`
      : `${queue.bytes} of ${model.queue.bytesMax} bytes`
  return new Failure('refused', `the queue of ${model.deployment} holds ${state}; try again shortly`, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}

function waitedTooLong(job: Job): Failure {
  const { deadlineMs, model } = job.request.routed
  return new Failure('expired', `waited ${deadlineMs} ms in the queue of ${model.deployment} without getting a slot`, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}
