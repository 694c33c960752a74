/**
 * A worker for the router's own tests: answers over any bus, numbers its events, sends again on request, and can be told to misbehave.
 *
 * Not an engine: the text of a request is `t0 t1 …`. The simulated engine of the real worker is `gpu-worker/simulated`.
 */
import { Failure } from '#contracts/failure.ts'
import { DeploymentName, type DispatchId, Revision, RouterId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import {
  Cancel,
  type ChoiceDelta,
  Dispatch,
  type GateAnswer,
  GateQuestion,
  type RequestEvent,
  Resend,
  type TokenLogprob,
  type Usage,
} from '#contracts/messages.ts'
import { Assembler, parsePart } from '#contracts/parts.ts'
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import { parseWorkerInbox, subjects } from '#contracts/subjects.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { decode, encode } from '#runtime/messages.ts'

export interface FakeWorkerOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly name: string
  readonly deployment?: string
  readonly slots?: number
  /** Between two tokens; 0 answers at once. */
  readonly stepMs?: number
  /** Tokens of an answer; default: what was asked for, else 4. */
  readonly tokens?: number
  /** Text of token i; default `t<i> `. */
  readonly text?: (index: number) => string
  /** Log-probabilities of each token, for requests that ask for them. */
  readonly logprobs?: (dispatch: Dispatch) => TokenLogprob
}

interface Running {
  readonly dispatch: Dispatch
  readonly events: RequestEvent[]
  sent: number
  ended: boolean
}

export const usage = (completionTokens: number): Usage => ({
  promptTokens: 10,
  completionTokens,
  cachedTokens: 3,
  draftTokens: 0,
  acceptedTokens: 0,
  waitMs: 0,
  promptMs: 1,
  generationMs: 1,
})

export class FakeWorker {
  readonly id: WorkerId
  readonly deployment: DeploymentName
  /** Every dispatch received, in order, the same one twice where it came twice. */
  readonly received: Dispatch[] = []
  readonly cancels: Cancel[] = []
  /** Set to answer a dispatch with this refusal. */
  refuseWith: Failure | null = null
  /** Set to leave dispatches unanswered. */
  deaf = false
  /** Set to end each request with this failure. */
  failWith: Failure | null = null
  prefixes: string[] = []
  /** Adapters in memory, the one used last at the end. */
  experts: string[] = []
  readonly questions: GateQuestion[] = []
  /** Set to answer for a gate; null: no answer. */
  gateWith: ((question: GateQuestion) => Omit<GateAnswer, 'number'> | null) | null = null
  readonly #options: FakeWorkerOptions
  readonly #running = new Map<DispatchId, Running>()
  readonly #parts = new Assembler()
  readonly #subscription: Subscription
  readonly #timers: Timer[]
  #reports = 0

  constructor(options: FakeWorkerOptions) {
    this.#options = options
    this.id = WorkerId.parse(options.name)
    this.deployment = DeploymentName.parse(options.deployment ?? 'smol')
    const { bus, clock } = options
    this.#subscription = bus.subscribe(subjects.workerInbox(this.id), (payload, subject) =>
      this.#take(payload, subject),
    )
    this.#timers = [clock.every(limits.worker.reportIntervalMs, () => this.report('ready'))]
    if ((options.stepMs ?? 0) > 0) this.#timers.push(clock.every(options.stepMs ?? 1, () => this.#step()))
    this.report('ready')
  }

  get busy(): number {
    return [...this.#running.values()].filter((each) => !each.ended).length
  }

  /** As `kill -9`. */
  stop(): void {
    this.#subscription.unsubscribe()
    for (const timer of this.#timers) timer.cancel()
  }

  report(state: 'ready' | 'draining' | 'stopped' | 'loading'): void {
    this.#reports += 1
    const reporter = { worker: this.id, deployment: this.deployment, revision: 'r1' }
    const report = workerReport(reporter, {
      number: this.#reports,
      state,
      slots: { total: this.#options.slots ?? 4, busy: this.busy, waiting: 0 },
      cells: { total: 1_000, used: 0 },
      prefixes: this.prefixes,
      experts: this.experts,
    })
    this.#options.bus.publish(subjects.report(this.deployment, this.id), encode(report))
  }

  /** Sends one event that is not part of any run, for instance of an unknown request. */
  send(router: string, events: readonly object[]): void {
    this.#options.bus.publish(subjects.stream(RouterId.parse(router)), encode({ worker: this.id, events }))
  }

  #take(payload: Uint8Array, subject: string): void {
    const part = parsePart(payload)
    const whole = part === null ? payload : this.#parts.add(part, this.#options.clock.now())
    const kind = parseWorkerInbox(subject)?.kind
    if (whole === null || kind === undefined) return
    if (kind === 'dispatch') this.#dispatch(decode(Dispatch, whole))
    else if (kind === 'cancel') this.#cancel(decode(Cancel, whole))
    else if (kind === 'resend') this.#resend(decode(Resend, whole))
    else if (kind === 'gate') this.#gate(decode(GateQuestion, whole))
  }

  #gate(question: GateQuestion): void {
    this.questions.push(question)
    const answer = this.gateWith?.(question)
    if (answer !== undefined && answer !== null) this.sayGated({ number: question.number, ...answer })
  }

  /** To whoever asked last. */
  sayGated(answer: GateAnswer): void {
    const router = this.questions.at(-1)?.router
    if (router !== undefined) this.#options.bus.publish(subjects.gated(router), encode(answer))
  }

  /** As a worker that has this gate, and can use these experts. */
  async register(experts: NonNullable<WorkerRecord['experts']>): Promise<void> {
    const record: WorkerRecord = {
      worker: this.id,
      deployment: this.deployment,
      revision: Revision.parse('r1'),
      pid: 1,
      version: '0',
      metricsUrl: 'http://127.0.0.1:1/metrics',
      engine: { ...anyEngine },
      slots: this.#options.slots ?? 4,
      contextTokensMax: 2_048,
      capabilities: modelRecord().capabilities,
      experts,
    }
    await this.#options.bus.put('workers', this.id, encode(record))
  }

  #dispatch(dispatch: Dispatch): void {
    this.received.push(dispatch)
    if (this.deaf) return
    const known = this.#running.get(dispatch.id)
    if (known !== undefined) {
      this.send(dispatch.router, known.events)
      return
    }
    if (this.refuseWith !== null) {
      this.send(dispatch.router, [
        { kind: 'refused', id: dispatch.id, number: 0, failure: this.refuseWith.toMessage() },
      ])
      return
    }
    const running = { dispatch, events: [], sent: 0, ended: false }
    this.#running.set(dispatch.id, running)
    this.#emit(running, { kind: 'accepted' })
    if ((this.#options.stepMs ?? 0) === 0) while (!running.ended) this.#advance(running)
  }

  #step(): void {
    for (const running of this.#running.values()) if (!running.ended) this.#advance(running)
  }

  #advance(running: Running): void {
    const { dispatch } = running
    const tokens = this.#options.tokens ?? dispatch.sampling.maxTokens ?? 4
    if (this.failWith !== null) {
      this.#end(running, [], { kind: 'failed', failure: this.failWith.toMessage() })
      return
    }
    if (dispatch.work.kind === 'embedding') {
      this.#end(running, [], {
        kind: 'completed',
        usage: usage(0),
        embeddings: dispatch.work.inputs.map(() => [1, 0.5]),
      })
      return
    }
    running.sent += 1
    const isLast = running.sent >= tokens
    const choices: ChoiceDelta[] = Array.from({ length: dispatch.choices }, (_, index) => ({
      index,
      text: this.#options.text?.(running.sent - 1) ?? `t${running.sent - 1} `,
      tokens: [running.sent],
      ...this.#logprobs(dispatch),
      ...(isLast ? { finish: 'length' as const } : {}),
    }))
    if (isLast) this.#end(running, choices, { kind: 'completed', usage: usage(tokens * dispatch.choices) })
    else this.#emit(running, { kind: 'delta', choices })
  }

  #logprobs(dispatch: Dispatch): Pick<ChoiceDelta, 'logprobs'> {
    const { logprobs } = this.#options
    return logprobs === undefined || dispatch.sampling.logprobs === null ? {} : { logprobs: [logprobs(dispatch)] }
  }

  #cancel(cancel: Cancel): void {
    this.cancels.push(cancel)
    const running = this.#running.get(cancel.id)
    if (running !== undefined && !running.ended)
      this.#end(running, [], { kind: 'cancelled', usage: usage(running.sent) })
  }

  #resend(resend: Resend): void {
    for (const { id, from } of resend.requests) {
      const known = this.#running.get(id)
      const failure = new Failure('worker-lost', 'not known here', { retry: { kind: 'elsewhere' } }).toMessage()
      if (known !== undefined) this.send(resend.router, known.events.slice(from))
      else if (!this.deaf)
        this.send(resend.router, [
          { kind: 'final', id, number: from, choices: [], outcome: { kind: 'failed', failure } },
        ])
    }
  }

  #end(running: Running, choices: ChoiceDelta[], outcome: object): void {
    running.ended = true
    this.#emit(running, { kind: 'final', choices, outcome })
  }

  #emit(running: Running, event: object): void {
    // The parts are put together by literal kinds above; the router's own check reads them back.
    const whole = { ...event, id: running.dispatch.id, number: running.events.length } as RequestEvent
    running.events.push(whole)
    this.send(running.dispatch.router, [whole])
  }
}

const anyEngine: WorkerRecord['engine'] = {
  kind: 'simulated',
  simulated: true,
  backend: 'none',
  library: 'none',
  threads: 1,
  kvCacheType: 'none',
  reproducible: 'no',
}

export function modelRecord(changes: Partial<ModelRecord> = {}): ModelRecord {
  return {
    deployment: DeploymentName.parse('smol'),
    servedNames: ['smol', 'org/smol'],
    revision: Revision.parse('r1'),
    created: 1_700_000_000,
    contextTokensMax: 2_048,
    capabilities: { chat: true, completions: true, embeddings: true, grammar: true },
    simulated: true,
    reproducible: 'no',
    slo: { ttftMs: 1_000, tpotMs: 100 },
    experts: [],
    queue: { requestsMax: 64, bytesMax: 1_000_000 },
    ...changes,
  }
}
