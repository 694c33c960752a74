/**
 * The lane of a pair with experts: looks at who waits and which workers have what, and has `core/expertLine.ts` say who goes where.
 *
 * Remembers of each worker whose turn it is and since when, as far as this router's own dispatches tell; of what other routers sent it
 * knows the adapter that a worker's report names last.
 */
import type { ExpertRequest } from '#algorithms/expertQueues.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { baseExpert } from '#contracts/resources/modelDeployment.ts'
import type { FairQueue } from './core/admit.ts'
import { type Expert, type ExpertSeat, placeNext } from './core/expertLine.ts'
import type { Picked } from './core/pick.ts'
import type { Worker } from './core/workers.ts'
import type { RouterMetrics } from './metrics.ts'
import { type Job, jobNeed } from './request.ts'

interface Turn {
  readonly expert: Expert
  readonly since: number
}

export interface ExpertLaneView {
  readonly queue: FairQueue<Job>
  /** Those that may get a request now. */
  readonly eligible: readonly Worker[]
  /** Live ones, full ones included. */
  readonly live: readonly Worker[]
  readonly now: number
}

export class ExpertLane {
  readonly #turns = new WeakMap<Worker, Turn>()

  /** Who goes next, and where; null: nobody now. */
  next({ queue, eligible, live, now }: ExpertLaneView): { readonly job: Job; readonly picked: Picked } | null {
    if (eligible.length === 0 || queue.length === 0) return null
    const upcoming = queue.upcoming(limits.experts.queueLookAheadMax, (job) => job.promptTokensEstimate)
    const placed = placeNext<Job>({
      line: upcoming.flatMap(({ item, tenantServed }) => (isEmbedding(item) ? [] : [waiterOf(item, tenantServed)])),
      seats: eligible.map((worker) => this.#seatOf(worker, now)),
      workers: live.length,
      mayTake: (job, worker) => mayTake(job, worker, live),
      needOf: jobNeed,
      now,
    })
    return placed === null ? null : { job: placed.id, picked: placed.picked }
  }

  /** Embeddings have no turns: any worker does. */
  nextEmbedding(queue: FairQueue<Job>): Job | null {
    const upcoming = queue.upcoming(limits.experts.queueLookAheadMax, (job) => job.promptTokensEstimate)
    return upcoming.find(({ item }) => isEmbedding(item))?.item ?? null
  }

  #seatOf(worker: Worker, now: number): ExpertSeat {
    const experts = expertsAt(worker)
    const [running] = experts
    if (running === undefined) {
      this.#turns.delete(worker)
      return { worker, experts, turnStartedAt: now }
    }
    const known = this.#turns.get(worker)
    if (known?.expert === running) return { worker, experts, turnStartedAt: known.since }
    this.#turns.set(worker, { expert: running, since: now })
    return { worker, experts, turnStartedAt: now }
  }
}

/** A worker that could not use the adapter, or was started before the pair had it, registers without it. */
export const canCompute = ({ record }: Worker, expert: Expert): boolean =>
  expert === null || record?.experts === undefined || record.experts.usable.includes(expert)

/** Where everybody refuses it, whoever has it is sent to one of them, whose answer says why. */
function mayTake({ excluded, expert }: Job, worker: Worker, live: readonly Worker[]): boolean {
  if (excluded.includes(worker.id)) return false
  if (canCompute(worker, expert)) return true
  const isRefused = worker.record?.experts?.refused.some((refusal) => refusal.expert === expert) === true
  return isRefused && !live.some((other) => !excluded.includes(other.id) && canCompute(other, expert))
}

export const isEmbedding = ({ work }: Job): boolean => work.kind === 'embedding'

function expertsAt({ sent, report }: Worker): Expert[] {
  const inOrder = [...sent].filter((each) => !each.isEmbedding).sort((a, b) => a.number - b.number)
  const experts = new Set(inOrder.map(({ expert }) => expert))
  const last = report?.experts.at(-1)
  if (experts.size === 0 && last !== undefined && (report?.slots.busy ?? 0) > 0) experts.add(last)
  return [...experts]
}

const waiterOf = (job: Job, tenantServed: number): ExpertRequest<Job, Expert> => ({
  id: job,
  expert: job.expert,
  size: job.choices,
  priority: job.priority,
  tenantServed,
  startBy: job.request.routed.arrivedAt + limits.experts.waitMsMax,
})

/** How many wait for each, those for whom nobody waits included. */
export function observeExperts(
  { deployment, experts }: ModelRecord,
  waiting: Iterable<Expert>,
  metrics: RouterMetrics,
): void {
  if (experts.length === 0) return
  const depths = new Map([baseExpert, ...experts.map(({ name }) => name)].map((name) => [name, 0]))
  for (const expert of waiting) depths.set(expert ?? baseExpert, (depths.get(expert ?? baseExpert) ?? 0) + 1)
  for (const [expert, depth] of depths) metrics.expertQueue.set({ model: deployment, expert }, depth)
}
