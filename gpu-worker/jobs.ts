/**
 * Which requests this worker has: those that wait, in order, and those that hold slots.
 *
 * Takes jobs in and out of slots (through `Placement`) and frees everything a job held when it ends. Called by the engine between
 * two steps; only `submit` and `requestEnd` may come at any time, because they change no slot.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { DispatchId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { sequencesMax } from './core/admission.ts'
import type { Owner } from './core/cells.ts'
import { chooseVictim, planMove, type SlotView } from './core/scheduler.ts'
import { end, generatedCount, pendingCount } from './core/sequence.ts'
import { expired } from './embeddingQueue.ts'
import type { ExpertTurns } from './expertTurns.ts'
import { type Choice, type GenerateRequest, Job, type JobEnd } from './job.ts'
import type { Meter } from './meter.ts'
import type { ModelRunner, Slot } from './modelRunner.ts'
import type { Pace } from './pace.ts'
import type { Placement } from './placement.ts'

/** What of an SLO running workers follow. */
export type LiveSlo = ModelRecord['slo']

export interface JobsOptions {
  readonly runner: ModelRunner
  readonly placement: Placement
  readonly pace: Pace
  readonly meter: Meter
  /** null where the deployment has no experts. */
  readonly experts: ExpertTurns | null
  readonly slo: LiveSlo
  /** Slots or waiting requests have changed. */
  readonly onChange: () => void
  /** A sequence has ended or lost its cells. */
  readonly onLeft: (number: number) => void
}

/** Copying cells out and in again, at the measured 13 GB/s each way. */
const copyBytesPerMs = 13e6 / 2
/** Unified layout: cells kept free when a preempted sequence comes back, so that it is not preempted at once again. */
const cellsFreeMin = 512

export class Jobs {
  readonly #o: JobsOptions
  readonly #jobs = new Map<DispatchId, Job>()
  /** By priority, then arrival. */
  readonly #waiting: Choice[] = []
  readonly #choices = new Map<number, Choice>()
  #nextNumber = 0
  #slo: LiveSlo
  /** Unified layout: cells that were in use when the cache was found full. */
  #cellsMax: number | null = null

  constructor(options: JobsOptions) {
    this.#o = options
    this.#slo = options.slo
  }

  get size(): number {
    return this.#jobs.size
  }

  /** How many sequences may hold slots: fewer than there are where the SLO says so. */
  get slotsOpen(): number {
    const { placement, pace } = this.#o
    const { admission = 'slots', tpotMs } = this.#slo
    const slots = placement.slots.total
    if (admission === 'slots' || pace.curve.origin === 'prior') return slots
    const contextTokens = meanContext(placement.views())
    return sequencesMax({ slots, tpotMs, tokenMs: (sequences) => pace.predictTokenMs(sequences, contextTokens) })
  }

  /** Takes effect with the next step; who runs stays. */
  changeSlo(slo: LiveSlo): void {
    if (isDeepStrictEqual(slo, this.#slo)) return
    this.#slo = slo
    this.#o.onChange()
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** Whose requests hold slots, and wait for one. */
  experts(): Record<'running' | 'waiting', (string | null)[]> {
    const { placement } = this.#o
    return {
      running: placement.views().map(({ slot }) => this.choiceIn(slot).job.request.expert),
      waiting: this.#waiting.map(({ job }) => job.request.expert),
    }
  }

  /** What others compute and it will copy takes no time of its own. */
  get promptTokensPending(): number {
    let tokens = 0
    for (const { sequence, willCopy } of this.#choices.values())
      tokens += Math.max(0, pendingCount(sequence) - 1 - willCopy)
    return tokens
  }

  ids(): DispatchId[] {
    return [...this.#jobs.keys()]
  }

  has(job: Job): boolean {
    return this.#jobs.has(job.request.id)
  }

  /** May so many choices be accepted? Waiting ones are bounded; an otherwise empty queue takes any one request. */
  hasRoom(choices: number): boolean {
    const { slots } = this.#o.placement
    const free = slots.total - slots.heldCount
    const waitingMax = free + limits.worker.waitingPerSlotMax * slots.total
    return this.#waiting.length === 0 || this.#waiting.length + choices <= waitingMax
  }

  submit(request: GenerateRequest, now: number): void {
    const job = new Job({ request, runner: this.#o.runner, now, nextNumber: () => this.#nextNumber++ })
    this.#jobs.set(request.id, job)
    for (const choice of job.choices) this.#enqueue(choice)
    this.#o.onChange()
  }

  /** The next `sweep` ends it. False where no such job runs. */
  requestEnd(id: DispatchId, jobEnd: JobEnd): boolean {
    const job = this.#jobs.get(id)
    if (job !== undefined) job.end ??= jobEnd
    return job !== undefined
  }

  choiceIn(slot: Slot): Choice {
    const state = this.#o.placement.slots.at(slot)
    const choice = state.kind === 'held' ? this.#choices.get(state.sequence.number) : undefined
    assert(choice !== undefined, `slot ${slot} is planned and holds no sequence`)
    return choice
  }

  /** Ends what was cancelled, has failed, is complete or too late, and frees what it holds. Returns the ended jobs. */
  sweep(now: number): Job[] {
    const ended: Job[] = []
    for (const job of this.#jobs.values()) {
      const { times, request } = job
      const waitedMs = now - times.acceptedAt
      if (job.end === null && times.firstTokenAt === null && waitedMs >= request.deadlineMs)
        job.end = { kind: 'failed', failure: expired(waitedMs, request.deadlineMs) }
      if (job.end !== null) ended.push(job)
    }
    for (const job of ended) {
      for (const choice of job.choices) this.endChoice(choice)
      this.#jobs.delete(job.request.id)
    }
    if (ended.length > 0) this.#o.onChange()
    return ended
  }

  /** Frees the slot; the cells stay reusable unless the job failed. */
  endChoice(choice: Choice): void {
    const { sequence, job } = choice
    if (sequence.state.kind === 'ended') return
    const hasPrompt = sequence.computed >= sequence.promptLength
    const digests = hasPrompt ? job.request.digests(choice.finish === null ? null : choice.answer) : []
    const content = { ...ownerOf(choice), tokens: sequence.tokens.slice(0, sequence.computed), digests }
    this.#o.placement.release(sequence, job.end?.kind === 'failed' ? null : content)
    const index = this.#waiting.indexOf(choice)
    if (index >= 0) this.#waiting.splice(index, 1)
    this.#choices.delete(sequence.number)
    this.#o.onLeft(sequence.number)
    end(sequence)
  }

  /** Waiting choices into the lowest free slots. */
  fillSlots(now: number): void {
    const { placement, meter, onChange } = this.#o
    if (this.#waiting.length === 0) return
    const open = this.slotsOpen
    for (const choice of this.#nextChoices()) {
      const [slot] = placement.slots.free()
      if (slot === undefined || placement.slots.heldCount >= open || !this.#hasCellsFor(choice)) return
      // Whom it would copy may have come into a slot just now.
      if (!this.#isReady(choice)) continue
      this.#waiting.splice(this.#waiting.indexOf(choice), 1)
      choice.willCopy = 0
      const { job, sequence } = choice
      const siblings = job.choices.map((other) => other.sequence)
      const restored = placement.place(slot, { sequence, owner: ownerOf(choice), digests: job.promptDigests, siblings })
      if (job.times.startedAt === null) {
        job.times.startedAt = now
        job.cachedTokens = restored
        meter.placed(job, now)
      }
      onChange()
    }
  }

  /** Who takes slots as far as there are free ones, in this order; with experts only those whose turn it is. */
  #nextChoices(): readonly Choice[] {
    const ready = this.#waiting.filter((choice) => this.#isReady(choice))
    const { experts, placement } = this.#o
    if (experts === null || ready.length === 0) return ready
    const held = placement.views().map(({ slot }) => this.choiceIn(slot))
    const keepsStates = placement.keepsStates(held.map(({ sequence }) => sequence))
    const admission = experts.admit(ready, { total: placement.slots.total, held, keepsStates })
    if (admission.kind !== 'give-way') return admission.kind === 'admit' ? admission.choices : []
    for (const choice of held) this.#giveWay(choice)
    return this.#nextChoices()
  }

  #giveWay(choice: Choice): void {
    const { sequence } = choice
    const content = { ...ownerOf(choice), tokens: sequence.tokens.slice(0, sequence.computed), digests: [] }
    this.#o.placement.preempt(sequence, content)
    this.#o.onLeft(sequence.number)
    this.#enqueue(choice)
  }

  /** Split layout: moves the highest sequence into a gap that no waiting request has taken. */
  closeHole(): void {
    const { placement, runner, pace } = this.#o
    if (runner.info.kvLayout === 'unified') return
    const views = placement.views()
    const contextTokens = meanContext(views)
    const move = planMove(views, {
      stepMs: (rows) => pace.predictStepMs({ rows, contextTokens }),
      copyMs: (cells) => (cells * runner.info.bytesPerToken) / copyBytesPerMs,
    })
    if (move !== null) placement.move(move)
  }

  /** Unified layout: the cache is full. The youngest sequence gives its cells back; null where only one is left. */
  preemptYoungest(): Choice | null {
    const { placement, meter, onLeft } = this.#o
    this.#cellsMax = placement.slots.cellsUsed
    const victim = chooseVictim(placement.views())
    if (victim === null) return null
    const choice = this.choiceIn(victim)
    placement.preempt(choice.sequence)
    onLeft(choice.sequence.number)
    this.#enqueue(choice)
    meter.preempted()
    return choice
  }

  #enqueue(choice: Choice): void {
    const { priority } = choice.job.request
    const after = this.#waiting.findLastIndex((other) => {
      const theirs = other.job.request.priority
      return theirs > priority || (theirs === priority && other.sequence.number < choice.sequence.number)
    })
    this.#waiting.splice(after + 1, 0, choice)
    this.#choices.set(choice.sequence.number, choice)
  }

  /** Who will copy what somebody computes just now waits for it: further choices of a request, and prompts that begin alike. */
  #isReady(choice: Choice): boolean {
    const { leader, request } = choice.job
    const { placement, runner } = this.#o
    if (request.prompt.length < limits.worker.prefixTokensMin) return true
    if (choice === leader) {
      choice.willCopy = placement.underWay({ sequence: choice.sequence, owner: ownerOf(choice) })
      return choice.willCopy === 0
    }
    if (!runner.info.capabilities.sequenceState) return true
    choice.willCopy = request.prompt.length - 1
    return generatedCount(leader.sequence) > 0
  }

  #hasCellsFor(choice: Choice): boolean {
    if (this.#cellsMax === null) return true
    const views = this.#o.placement.views()
    const held = views.reduce((sum, view) => sum + view.length, 0)
    return views.length === 0 || held + choice.sequence.tokens.length + cellsFreeMin <= this.#cellsMax
  }
}

const ownerOf = ({ job: { request } }: Choice): Owner => ({ tenant: request.tenant, expert: request.expert })

function meanContext(views: readonly SlotView[]): number {
  return views.length === 0 ? 0 : views.reduce((sum, view) => sum + view.computed, 0) / views.length
}
