/**
 * Which waiting requests an engine takes next where each needs one of several experts: the longest queue first (Read-ME, algorithm 1
 * of 2410.19123), so that one expert serves many requests before the next has to be attached or loaded.
 *
 * Two rules keep that from being unfair. The age guard: every request has a time by which it must have started; before a turn is
 * given to the longest queue, it is checked that all others could still start in time after it, and if not, the turn goes to whoever
 * is due first, whose expert then serves its whole queue. The lead: only requests are eligible whose tenant is at most so many tokens
 * ahead of the tenant that is served least, so that a flood for one expert earns its tenant a bounded lead and no more.
 *
 * A pure function of a snapshot. Where more work arrives than can be done no guard can hold; requests then start in the order in which
 * they are due. Looks at no more than `limits.experts.lookAheadRequestsMax` requests.
 */
import { limits } from '#contracts/limits.ts'

export interface ExpertRequest<Id, Expert> {
  readonly id: Id
  readonly expert: Expert
  /** What it takes of the engine's room. */
  readonly size: number
  readonly priority: number
  /** Tokens that its tenant will have been served, over its weight, when this request's turn comes: its place in the fair line. */
  readonly tenantServed: number
  /** Local time by which its turn must have begun, loading its expert included; infinity where nobody guards it. */
  readonly startBy: number
}

export interface QueueSnapshot<Id, Expert> {
  /** In the order in which fairness between tenants takes them. */
  readonly line: readonly ExpertRequest<Id, Expert>[]
  /** What the engine takes at once. */
  readonly room: number
  /** Experts of one batch: one for an engine that attaches an adapter for all that it decodes. */
  readonly expertsMax: number
  /** How long a batch keeps the engine from the next one, at most. */
  readonly turnMs: number
  /** How many tokens one tenant may be served ahead of another one that waits. */
  readonly leadTokensMax: number
  /** Least recently used first. Of two queues alike long, the one whose expert was used last goes first. */
  readonly resident: readonly Expert[]
  readonly now: number
}

export interface ExpertBatch<Id, Expert> {
  readonly requests: readonly ExpertRequest<Id, Expert>[]
  /** In the order in which they were taken up. */
  readonly experts: readonly Expert[]
  readonly cause: 'nothing-waits' | 'longest-queue' | 'age-guard'
}

export function planExpertBatch<Id, Expert>(snapshot: QueueSnapshot<Id, Expert>): ExpertBatch<Id, Expert> {
  const line = snapshot.line.slice(0, limits.experts.lookAheadRequestsMax)
  const eligible = withinLead(line, snapshot.leadTokensMax)
  if (eligible.length === 0) return { requests: [], experts: [], cause: 'nothing-waits' }
  const batch = new Batch<Id, Expert>(snapshot)
  batch.takeLongestQueues(eligible, snapshot.resident)
  const rest = line.filter((request) => !batch.holds(request))
  if (canAllStart(rest, snapshot)) return batch.because('longest-queue')
  const guarded = new Batch<Id, Expert>(snapshot)
  guarded.take(dueFirst(line, snapshot))
  for (const expert of guarded.experts) guarded.take(eligible.filter((request) => request.expert === expert))
  guarded.takeLongestQueues(eligible, snapshot.resident)
  return guarded.because('age-guard')
}

/** Of the highest priority that waits, the requests whose tenants are not too far ahead of the least served one. */
export function withinLead<Id, Expert>(line: readonly ExpertRequest<Id, Expert>[], leadTokensMax: number) {
  const priority = line.reduce((highest, request) => Math.max(highest, request.priority), Number.NEGATIVE_INFINITY)
  const first = line.filter((request) => request.priority === priority)
  const least = first.reduce((lowest, { tenantServed }) => Math.min(lowest, tenantServed), Number.POSITIVE_INFINITY)
  return first.filter(({ tenantServed }) => tenantServed - least <= leadTokensMax)
}

/** The request that is due first, and all others that would be late after one more turn. */
function dueFirst<Id, Expert>(
  line: readonly ExpertRequest<Id, Expert>[],
  { now, turnMs }: { readonly now: number; readonly turnMs: number },
): ExpertRequest<Id, Expert>[] {
  return inOrderOfDue(line).filter(({ startBy }, i) => i === 0 || startBy < now + turnMs)
}

/**
 * Would everybody start in time if one turn were spent on something else, and each turn after it went to whoever is due first, with
 * as many more of its expert as fit?
 */
export function canAllStart<Id, Expert>(
  requests: readonly ExpertRequest<Id, Expert>[],
  { room, expertsMax, turnMs, now }: Pick<QueueSnapshot<Id, Expert>, 'room' | 'expertsMax' | 'turnMs' | 'now'>,
): boolean {
  type Turn = { readonly startsAt: number; readonly experts: Set<Expert>; room: number }
  const turnOf = new Map<Expert, Turn>()
  let last: Turn | null = null
  let turns = 0
  for (const { expert, size, startBy } of inOrderOfDue(requests)) {
    const own = turnOf.get(expert)
    let turn = own !== undefined && own.room >= size ? own : null
    if (turn === null && last !== null && last.room >= size && last.experts.size < expertsMax) turn = last
    if (turn === null) {
      turns += 1
      turn = last = { startsAt: now + turns * turnMs, experts: new Set(), room }
    }
    if (turn.startsAt > startBy) return false
    turn.room -= size
    turn.experts.add(expert)
    turnOf.set(expert, turn)
  }
  return true
}

function inOrderOfDue<Id, Expert>(requests: readonly ExpertRequest<Id, Expert>[]): ExpertRequest<Id, Expert>[] {
  return requests.filter(({ startBy }) => startBy < Number.POSITIVE_INFINITY).sort((a, b) => a.startBy - b.startBy)
}

/** A batch as it grows: takes each request once, and no more experts than it may hold. */
class Batch<Id, Expert> {
  readonly experts = new Set<Expert>()
  readonly #requests = new Set<ExpertRequest<Id, Expert>>()
  readonly #expertsMax: number
  #room: number

  constructor({ room, expertsMax }: { readonly room: number; readonly expertsMax: number }) {
    this.#room = room
    this.#expertsMax = expertsMax
  }

  holds(request: ExpertRequest<Id, Expert>): boolean {
    return this.#requests.has(request)
  }

  /** In the order given, up to the first that does not fit: what is large must not starve behind what is small. */
  take(requests: readonly ExpertRequest<Id, Expert>[]): void {
    for (const request of requests) {
      if (this.holds(request) || !this.#mayServe(request.expert)) continue
      if (request.size > this.#room) return
      this.experts.add(request.expert)
      this.#requests.add(request)
      this.#room -= request.size
    }
  }

  takeLongestQueues(eligible: readonly ExpertRequest<Id, Expert>[], resident: readonly Expert[]): void {
    const waiting = eligible.filter((request) => !this.holds(request) && this.#mayServe(request.expert))
    for (const queue of longestFirst(waiting, resident)) {
      if (this.#room <= 0) return
      this.take(queue)
    }
  }

  because(cause: ExpertBatch<Id, Expert>['cause']): ExpertBatch<Id, Expert> {
    return { requests: [...this.#requests], experts: [...this.experts], cause }
  }

  #mayServe(expert: Expert): boolean {
    return this.experts.has(expert) || this.experts.size < this.#expertsMax
  }
}

/** A queue per expert: the one that holds most first, then the one whose expert was used last, then the one that waits in front. */
function longestFirst<Id, Expert>(requests: readonly ExpertRequest<Id, Expert>[], resident: readonly Expert[]) {
  const queues = new Map<Expert, ExpertRequest<Id, Expert>[]>()
  for (const request of requests) {
    const queue = queues.get(request.expert)
    if (queue === undefined) queues.set(request.expert, [request])
    else queue.push(request)
  }
  return [...queues]
    .map(([expert, queue]) => ({
      queue,
      size: queue.reduce((sum, request) => sum + request.size, 0),
      usedAt: resident.indexOf(expert),
    }))
    .sort((a, b) => b.size - a.size || b.usedAt - a.usedAt)
    .map(({ queue }) => queue)
}
