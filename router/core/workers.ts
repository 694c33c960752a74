/**
 * Workers as this router knows them, folded from registrations, reports and what it sent itself.
 *
 * Live: heard within `suspectAfterMs`. Suspect: silent longer, gets nothing new. Gone: silent for `goneAfterMs`, or known dead
 * (registration removed, or it said `stopped`). Silence is only counted while the bus is connected: `reconnected` starts it anew.
 * Between two reports the load is the last report corrected by what was sent and ended since; a dispatch that its worker has not
 * accepted yet cannot be in any report and is always added. A prompt that was sent counts as held by its worker from then on: the
 * next one with the same beginning should follow it, and reports tell of it only when it has ended. It counts until the first report
 * after its end, which says what became of it, or until it was refused. Mutable, single writer; time is passed in.
 */
import { type CostCurve, curveFrom } from '#algorithms/costCurve.ts'
import { prefixEnds } from '#algorithms/prefixDigest.ts'
import { hash32 } from '#algorithms/rendezvous.ts'
import type { DeploymentName, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { Prefix } from './prompt.ts'
import { Slots } from './slots.ts'

export interface Worker {
  readonly id: WorkerId
  readonly deployment: DeploymentName
  /** Its number among seats that keys are hashed to: of its id, so the same in every router. */
  readonly seat: number
  record: WorkerRecord | null
  report: WorkerReport | null
  /** What its steps cost, by its last report; null: it has said nothing usable. */
  curve: CostCurve | null
  /** Digests of what it holds: what its last report said, and what was sent to it. A new set with each report. */
  prefixes: Set<string>
  heardAt: number
  /** What this router sent to it and has not ended. */
  readonly sent: Slots<Sent>
  /** Prompt tokens sent that no report can tell of yet. */
  promptTokensSent: number
  /** Choices sent by this router and not ended. */
  inFlight: number
  /** Choices sent that the worker has not answered yet. */
  unanswered: number
  /** What was sent (+) and ended (-) since the last report, as far as that report cannot know it. */
  drift: number
  /** It said that it is full: nothing new until then. */
  pausedUntil: number
}

/** One dispatch of this router, from when it was sent to its end. */
export interface Sent {
  readonly worker: Worker
  readonly choices: number
  /** Of the prompt, what the worker was thought to hold not; and the digests of what it will hold. */
  readonly promptTokens: number
  readonly digests: readonly string[]
  /** Null: the model as it is. */
  readonly expert: string | null
  /** Of no expert's turn. */
  readonly isEmbedding: boolean
  /** What was sent later has a higher one. */
  readonly number: number
  slot: number
  accepted: boolean
  /** Its tokens are among `promptTokensSent`. */
  isCounted: boolean
}

/** What a dispatch makes its worker compute and hold. */
export interface SentPrompt {
  readonly choices: number
  readonly promptTokens: number
  readonly prefixes: readonly Prefix[]
  readonly expert?: string | null
  readonly isEmbedding?: boolean
}

export type Standing = 'live' | 'suspect' | 'loading' | 'draining'

export class WorkerTable {
  readonly #workers = new Map<WorkerId, Worker>()
  readonly #byDeployment = new Map<DeploymentName, Worker[]>()
  /** Known dead → when: reports that were still under way must not bring them back. */
  readonly #removed = new Map<WorkerId, number>()
  #connectedAt = 0
  #sent = 0

  get(id: WorkerId): Worker | undefined {
    return this.#workers.get(id)
  }

  of(deployment: DeploymentName): readonly Worker[] {
    return this.#byDeployment.get(deployment) ?? []
  }

  all(): IterableIterator<Worker> {
    return this.#workers.values()
  }

  register(record: WorkerRecord, now: number): void {
    this.#removed.delete(record.worker)
    this.#find(record.worker, record.deployment, now).record = record
  }

  /** True where this made a known worker gone. */
  remove(id: WorkerId, now: number): boolean {
    // After an outage of the bus a registration may be missing only because it could not be refreshed: silence decides then.
    if (now - this.#connectedAt < limits.worker.goneAfterMs) return false
    this.#removed.set(id, now)
    return this.#drop(id)
  }

  /** `stopped`: it is gone now. `ignored`: an old report, or one of a worker known to be dead. */
  report(report: WorkerReport, now: number): 'taken' | 'stopped' | 'ignored' {
    if (this.#removed.has(report.worker)) return 'ignored'
    if (report.state === 'stopped') {
      this.#removed.set(report.worker, now)
      return this.#drop(report.worker) ? 'stopped' : 'ignored'
    }
    const worker = this.#find(report.worker, report.deployment, now)
    if (worker.report !== null && report.number <= worker.report.number) return 'ignored'
    worker.report = report
    worker.curve = report.costCurve === undefined ? null : curveFrom(report.costCurve)
    worker.heardAt = now
    worker.drift = worker.unanswered
    worker.promptTokensSent = 0
    for (const sent of worker.sent) {
      sent.isCounted = !sent.accepted
      if (sent.isCounted) worker.promptTokensSent += sent.promptTokens
    }
    worker.prefixes = prefixesOf(worker)
    return 'taken'
  }

  /** Any other sign of life. */
  heard(id: WorkerId, now: number): void {
    const worker = this.#workers.get(id)
    if (worker !== undefined) worker.heardAt = now
  }

  reconnected(now: number): void {
    this.#connectedAt = now
  }

  sent(worker: Worker, { choices, promptTokens, prefixes, expert = null, isEmbedding = false }: SentPrompt): Sent {
    const digests = prefixEnds(prefixes).map(({ digest }) => digest)
    const sent: Sent = {
      worker,
      choices,
      promptTokens,
      digests,
      expert,
      isEmbedding,
      number: this.#sent,
      slot: -1,
      accepted: false,
      isCounted: true,
    }
    this.#sent += 1
    sent.slot = worker.sent.add(sent)
    worker.inFlight += choices
    worker.unanswered += choices
    worker.drift += choices
    worker.promptTokensSent += promptTokens
    for (const digest of digests) worker.prefixes.add(digest)
    return sent
  }

  accepted(sent: Sent): void {
    if (sent.accepted) return
    sent.accepted = true
    sent.worker.unanswered -= sent.choices
  }

  /** Its first token is there, so nothing of its prompt waits any more. */
  computed(sent: Sent): void {
    if (!sent.isCounted) return
    sent.isCounted = false
    sent.worker.promptTokensSent -= sent.promptTokens
  }

  ended(sent: Sent): void {
    const { worker, choices, accepted } = sent
    worker.sent.remove(sent.slot, sent)
    worker.inFlight -= choices
    worker.drift -= choices
    this.computed(sent)
    if (accepted) return
    worker.unanswered -= choices
    // It was never run, so nothing of it is held.
    if (sent.digests.length > 0) worker.prefixes = prefixesOf(worker)
  }

  /** Drops and returns whoever has been silent too long. Call only while the bus is connected. */
  sweep(now: number): WorkerId[] {
    const gone: WorkerId[] = []
    for (const worker of this.#workers.values()) {
      if (this.#silentMs(worker, now) >= limits.worker.goneAfterMs) gone.push(worker.id)
    }
    for (const id of gone) this.#drop(id)
    for (const [id, at] of this.#removed) if (now - at >= limits.worker.suspectAfterMs) this.#removed.delete(id)
    return gone
  }

  standing(worker: Worker, now: number): Standing {
    if (worker.report === null || worker.report.state === 'loading') return 'loading'
    if (worker.report.state !== 'ready') return 'draining'
    return this.#silentMs(worker, now) >= limits.worker.suspectAfterMs ? 'suspect' : 'live'
  }

  #silentMs(worker: Worker, now: number): number {
    return now - Math.max(worker.heardAt, this.#connectedAt)
  }

  #find(id: WorkerId, deployment: DeploymentName, now: number): Worker {
    const found = this.#workers.get(id)
    if (found !== undefined) return found
    const worker: Worker = {
      id,
      deployment,
      seat: hash32(id),
      record: null,
      report: null,
      curve: null,
      prefixes: new Set(),
      heardAt: now,
      sent: new Slots(),
      promptTokensSent: 0,
      inFlight: 0,
      unanswered: 0,
      drift: 0,
      pausedUntil: 0,
    }
    this.#workers.set(id, worker)
    this.#byDeployment.set(deployment, [...this.of(deployment), worker])
    return worker
  }

  #drop(id: WorkerId): boolean {
    const worker = this.#workers.get(id)
    if (worker === undefined) return false
    this.#workers.delete(id)
    const left = this.of(worker.deployment).filter((other) => other !== worker)
    if (left.length === 0) this.#byDeployment.delete(worker.deployment)
    else this.#byDeployment.set(worker.deployment, left)
    return true
  }
}

/** Choices that the worker runs or holds now, as well as can be known. */
export function loadOf(worker: Worker): number {
  const slots = worker.report?.slots
  return Math.max(worker.inFlight, (slots === undefined ? 0 : slots.busy + slots.waiting) + worker.drift)
}

export function freeSlots(worker: Worker): number {
  return (worker.report?.slots.total ?? 0) - loadOf(worker)
}

/** Prompt tokens that the worker computes before those of a request sent now. */
export function promptTokensPending(worker: Worker): number {
  return (worker.report?.promptTokensPending ?? 0) + worker.promptTokensSent
}

function prefixesOf(worker: Worker): Set<string> {
  const prefixes = new Set(worker.report?.prefixes)
  for (const { digests } of worker.sent) for (const digest of digests) prefixes.add(digest)
  return prefixes
}
