/**
 * Asks workers which expert a request is for, where its pair has a pre-gate: the gate reads token ids, and only workers can make them.
 *
 * One question per text: requests that ask the same while it is under way share its answer, and answers are remembered, so that a
 * conversation asks once. Whoever is not answered in time gets the model without an expert; an answer that comes too late is remembered
 * all the same. Bounded in questions and answers. A choice is made exactly once per call.
 */
import { hash } from 'node:crypto'
import { gatedText } from '#algorithms/preGate/gatedText.ts'
import type { RouterId, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { GateAnswer, type GateQuestion, type Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import type { Worker, WorkerTable } from './core/workers.ts'
import { canCompute } from './expertLane.ts'

/**
 * `gated`: a worker said so just now; `remembered`: it said so before. Without an expert: `unsure`: the gate is less sure than the pair
 * wants; `late`: no worker answered in time; `no-worker`: none could be asked; `too-many`: too many questions wait; `no-text`: there is
 * nothing to gate.
 */
export const gateCauses = ['gated', 'remembered', 'unsure', 'late', 'no-worker', 'too-many', 'no-text'] as const
export type GateCause = (typeof gateCauses)[number]

export interface GateChoice {
  readonly expert: string | null
  readonly cause: GateCause
  readonly probability: number | null
}

export interface GatedWork {
  readonly model: ModelRecord
  readonly tenant: TenantId
  readonly work: Work
}

type Take = (choice: GateChoice) => void
type Answer = Pick<GateAnswer, 'expert' | 'probability'>

interface Question {
  readonly key: string
  readonly worker: Worker
  readonly experts: ModelRecord['experts']
  readonly probabilityMin: number
  /** Empty once it is too late for them. */
  waiting: Take[]
  readonly timer: Timer
}

export interface GatesOptions {
  readonly router: RouterId
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly workers: WorkerTable
}

export class Gates {
  readonly #o: GatesOptions
  /** By number, oldest first. */
  readonly #questions = new Map<number, Question>()
  readonly #numberOf = new Map<string, number>()
  /** Least recently used first. */
  readonly #answers = new Map<string, Answer>()
  #subscription: Subscription | null = null
  #count = 0

  constructor(options: GatesOptions) {
    this.#o = options
  }

  start(): void {
    const { bus, router } = this.#o
    this.#subscription = bus.subscribe(subjects.gated(router), (payload) => this.#receive(payload))
  }

  stop(): void {
    this.#subscription?.unsubscribe()
    for (const { timer } of this.#questions.values()) timer.cancel()
    this.#questions.clear()
    this.#numberOf.clear()
  }

  /** Calls `take` once, perhaps before it returns. */
  choose(given: GatedWork, take: Take): void {
    const { gate } = given.model
    const text = gatedText(given.work)
    if (gate === undefined || text === null || text.length === 0) return take(without('no-text'))
    const key = keyOf(gate.sha256, given.tenant, text)
    const known = this.#answers.get(key)
    if (known !== undefined) {
      this.#remember(key, known)
      return take(chosen(known, gate.probabilityMin, 'remembered'))
    }
    const open = this.#questions.get(this.#numberOf.get(key) ?? -1)
    if (open !== undefined && open.waiting.length > 0) return void open.waiting.push(take)
    this.#ask({ key, gate, text, model: given.model }, take)
  }

  #ask(asked: { key: string; gate: Gate; text: GatedText; model: ModelRecord }, take: Take): void {
    const { bus, clock, router } = this.#o
    const worker = this.#workerFor(asked.model, asked.gate)
    if (worker === null) return take(without('no-worker'))
    if (!this.#makeRoom()) return take(without('too-many'))
    const number = this.#count
    this.#count += 1
    const timer = clock.after(limits.experts.gateWaitMsMax, () => this.#late(number))
    this.#questions.set(number, {
      key: asked.key,
      worker,
      experts: asked.model.experts,
      probabilityMin: asked.gate.probabilityMin,
      waiting: [take],
      timer,
    })
    this.#numberOf.set(asked.key, number)
    const text = typeof asked.text === 'string' ? asked.text : [...asked.text]
    const question: GateQuestion = { router, number, gate: asked.gate.sha256, text }
    bus.publish(subjects.gate(worker.id), encode(question))
  }

  /** Those that have this very gate, in turns. */
  #workerFor(model: ModelRecord, { sha256 }: Gate): Worker | null {
    const { workers, clock } = this.#o
    const now = clock.now()
    const able = workers
      .of(model.deployment)
      .filter((worker) => worker.record?.experts?.gate?.sha256 === sha256 && workers.standing(worker, now) === 'live')
    return able[this.#count % Math.max(1, able.length)] ?? null
  }

  /** Questions that nobody waits for give way to new ones. */
  #makeRoom(): boolean {
    if (this.#questions.size < limits.experts.gateQuestionsMax) return true
    for (const [number, { waiting }] of this.#questions) {
      if (waiting.length > 0) continue
      this.#drop(number)
      return true
    }
    return false
  }

  #late(number: number): void {
    const question = this.#questions.get(number)
    for (const take of question?.waiting.splice(0) ?? []) take(without('late'))
  }

  #receive(payload: Uint8Array): void {
    const answer = this.#read(payload)
    const question = answer === null ? undefined : this.#questions.get(answer.number)
    if (answer === null || question === undefined) return
    const { expert, probability } = answer
    if (expert !== null || isWhole(question)) this.#remember(question.key, { expert, probability })
    this.#drop(answer.number)
    for (const take of question.waiting) take(chosen(answer, question.probabilityMin, 'gated'))
  }

  #read(payload: Uint8Array): GateAnswer | null {
    try {
      return decode(GateAnswer, payload)
    } catch (error) {
      this.#o.log.warn({ error }, 'answer of a gate dropped: not of its declared form')
      return null
    }
  }

  #drop(number: number): void {
    const question = this.#questions.get(number)
    if (question === undefined) return
    question.timer.cancel()
    this.#questions.delete(number)
    if (this.#numberOf.get(question.key) === number) this.#numberOf.delete(question.key)
  }

  #remember(key: string, answer: Answer): void {
    this.#answers.delete(key)
    this.#answers.set(key, answer)
    if (this.#answers.size <= limits.experts.gateAnswersMax) return
    for (const oldest of this.#answers.keys()) return void this.#answers.delete(oldest)
  }
}

/** The answer of one that cannot use every expert may say no more than that, and others can, or it itself before long. */
const isWhole = ({ worker, experts }: Question) => experts.every(({ name }) => canCompute(worker, name))

type GatedText = NonNullable<ReturnType<typeof gatedText>>
type Gate = NonNullable<ModelRecord['gate']>

/** The tenant takes part: how fast an answer comes must tell nobody what another tenant asked. */
function keyOf(gate: string, tenant: TenantId, text: GatedText): string {
  const content = typeof text === 'string' ? `text\0${text}` : `tokens\0${text.join(',')}`
  return hash('sha256', `${gate}\0${tenant}\0${content}`)
}

const without = (cause: GateCause): GateChoice => ({ expert: null, cause, probability: null })

function chosen({ expert, probability }: Answer, probabilityMin: number, cause: 'gated' | 'remembered'): GateChoice {
  return probability < probabilityMin ? { expert: null, cause: 'unsure', probability } : { expert, cause, probability }
}
