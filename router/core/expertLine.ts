/**
 * Which of the waiting requests of a pair with experts goes to which worker next. An engine computes one expert at a time, so requests
 * of one expert gather at one worker: each worker with a free slot says whom it would take (`nextAt`), and of these the cheapest pair of
 * request and worker is placed.
 *
 * A worker goes on with the expert it has while that one has the longest queue, or its turn is young; it never holds requests of more
 * than two, the one that it computes and the one that comes next, whose adapter it can load meanwhile; of a third only where it would be
 * late otherwise. The age guard and the lead of one tenant over another are those of `algorithms/expertQueues.ts`. Pure.
 */
import { canAllStart, type ExpertRequest, planExpertBatch, withinLead } from '#algorithms/expertQueues.ts'
import { limits } from '#contracts/limits.ts'
import type { Need } from './prompt.ts'
import { type Picked, type Weighed, weigh } from './pick.ts'
import type { Worker } from './workers.ts'

/** Null: the model as it is. */
export type Expert = string | null
export type Waiter<Id> = ExpertRequest<Id, Expert>

export interface ExpertSeat {
  readonly worker: Worker
  /** Whose requests it has, the one that it computes first. */
  readonly experts: readonly Expert[]
  /** When the turn of the first of them began. */
  readonly turnStartedAt: number
}

export interface LineSnapshot<Id> {
  /** In the order in which fairness between tenants takes them. */
  readonly line: readonly Waiter<Id>[]
  /** Those with a free slot. */
  readonly seats: readonly ExpertSeat[]
  /** Live workers, whether they have a free slot or not. */
  readonly workers: number
  readonly mayTake: (id: Id, worker: Worker) => boolean
  readonly needOf: (id: Id) => Need
  readonly now: number
}

export function placeNext<Id>(snapshot: LineSnapshot<Id>): { readonly id: Id; readonly picked: Picked } | null {
  let best: { id: Id; weighed: Weighed } | null = null
  for (const seat of snapshot.seats) {
    const waiter = nextAt(seat, snapshot)
    if (waiter === null) continue
    const weighed = weighWithExpert(seat, waiter.expert, snapshot.needOf(waiter.id))
    if (best === null || isBetter(weighed, best.weighed)) best = { id: waiter.id, weighed }
  }
  if (best === null) return null
  return { id: best.id, picked: { ...best.weighed, boundMs: best.weighed.costMs, cause: 'expert' } }
}

/** Whom this worker would take; null: nobody while it has what it has. */
export function nextAt<Id>(seat: ExpertSeat, snapshot: LineSnapshot<Id>): Waiter<Id> | null {
  const line = snapshot.line.filter(({ id }) => snapshot.mayTake(id, seat.worker))
  const own = ownOf(seat, line)
  if (seat.experts.length >= expertsMax) return overdueThird(seat, line, snapshot.now) ?? own
  const turnMs = snapshot.now - seat.turnStartedAt
  if (own !== null && turnMs < limits.experts.turnMsMin) return own
  const engine = engineOf(seat, snapshot)
  const batch = planExpertBatch({ ...engine, line, expertsMax: 1, leadTokensMax, resident: residentOf(seat.worker) })
  const [first = null] = batch.requests
  if (own === null) return first
  // Who is late already is not saved by a turn that ends early; there is only less done.
  const savable = line.filter(({ expert, startBy }) => expert !== own.expert && startBy >= snapshot.now)
  const goesOn = batch.experts[0] === own.expert || turnMs < limits.experts.turnMsMax
  return goesOn && canAllStart(savable, { ...engine, expertsMax: 1 }) ? own : first
}

const { leadTokensMax } = limits.experts
/** Of one worker: the one that it computes, and the next. */
const expertsMax = 2

/**
 * A stream of requests for two experts would shut out a third for ever. So who is due before those of the seat comes in too, one expert at a
 * time: its requests then gather like those of any other.
 */
function overdueThird<Id>({ experts }: ExpertSeat, line: readonly Waiter<Id>[], now: number): Waiter<Id> | null {
  if (experts.length > expertsMax) return null
  const [first] = line
    .filter(({ startBy }) => startBy < now + limits.experts.turnMsMin)
    .sort((a, b) => a.startBy - b.startBy)
  return first === undefined || experts.includes(first.expert) ? null : first
}

/** The next one of the expert that came last, as far as fairness lets it. */
function ownOf<Id>({ experts }: ExpertSeat, line: readonly Waiter<Id>[]): Waiter<Id> | null {
  const last = experts.at(-1)
  if (last === undefined) return null
  return withinLead(line, leadTokensMax).find(({ expert }) => expert === last) ?? null
}

/** All workers together start whoever waits: a guard that looked at one alone would see everybody late. */
function engineOf({ worker }: ExpertSeat, { workers, now }: Pick<LineSnapshot<unknown>, 'workers' | 'now'>) {
  const slots = worker.report?.slots.total ?? 1
  return { room: Math.max(1, slots * workers), turnMs: limits.experts.turnMsMin, now }
}

const residentOf = ({ report }: Worker): readonly string[] => report?.experts ?? []

/** As every pick, and what it takes until the expert computes. */
function weighWithExpert(seat: ExpertSeat, expert: Expert, need: Need): Weighed {
  const weighed = weigh(seat.worker, need)
  const extraMs = expertMs(seat, expert)
  return { ...weighed, firstTokenMs: weighed.firstTokenMs + extraMs, costMs: weighed.costMs + extraMs }
}

/** Predicted: waiting for whom the worker computes now, loading what it does not have. */
function expertMs({ worker, experts }: ExpertSeat, expert: Expert): number {
  if (experts.includes(expert)) return experts[0] === expert ? 0 : limits.experts.turnMsMin
  const isLoaded = expert === null || residentOf(worker).includes(expert)
  const loadMs = isLoaded ? 0 : (worker.report?.expertLoadMs ?? loadMsGuess)
  return switchMs + loadMs + (experts.length === 0 ? 0 : limits.experts.turnMsMin)
}

/** Measured on a small model and its adapters; what matters is the order of the workers. */
const switchMs = 4
const loadMsGuess = 100

const isBetter = (a: Weighed, b: Weighed) =>
  a.costMs < b.costMs ||
  (a.costMs === b.costMs && (a.weight > b.weight || (a.weight === b.weight && a.worker.id < b.worker.id)))
