/**
 * A whole worker around a real model in this process: real clock, a bus that only listens. Dispatches in, answers out.
 *
 * One model serves many workers, one after another: `open` them with different ways of drafting and compare what they say.
 */
import { DeploymentName, DispatchId, Revision } from '#contracts/ids.ts'
import { workerMetrics } from '#contracts/metrics.ts'
import { type Dispatch, StepFrame, type Usage } from '#contracts/messages.ts'
import { Assembler, parsePart, split } from '#contracts/parts.ts'
import type { Speculation } from '#contracts/resources/modelDeployment.ts'
import { subjects } from '#contracts/subjects.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import { type Clock, systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import { createMetrics } from '#runtime/metrics.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { type ExpertSupplies, noExperts } from '../../gpu-worker/expertSupplies.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import { type MeasurementStore, noMeasurements } from '../../gpu-worker/measurementStore.ts'
import type { ReadMemory } from '../../gpu-worker/memory.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../gpu-worker/worker.ts'
import { dispatchOf, router, StubBus, workerId } from '../../gpu-worker/worker.fixture.ts'

export interface AnswerChoice {
  readonly tokens: number[]
  text: string
}

export interface Answer {
  readonly choices: readonly AnswerChoice[]
  readonly usage: Usage
}

/** Token for token, and as text: for comparisons. */
export const textsOf = (answers: readonly Answer[]): string[] =>
  answers.flatMap(({ choices }) => choices.map(({ tokens, text }) => `${tokens.join(' ')} ${text}`))

export interface DraftingOptions {
  readonly proposers: readonly Proposer[]
  readonly speculation?: Partial<Speculation>
  readonly experts?: Partial<ExpertSupplies>
  readonly clock?: Clock
  readonly readMemory?: ReadMemory
  /** What earlier lives measured; nothing unless given. */
  readonly curveStore?: MeasurementStore
  /** In the place of the one that `speculation.controller` names. */
  readonly createController?: WorkerOptions['createController']
}

/** `reproducible`: the cache that gives bit-identical rows whatever shares the step. */
export function openModel(
  modelPath: string,
  options: { slots: number; contextTokensMax: number; reproducible: boolean },
): Promise<ModelRunner> {
  return createLlamaRunner({
    modelPath,
    slots: options.slots,
    contextTokensMax: options.contextTokensMax,
    kvLayout: 'split',
    kvCacheType: options.reproducible ? 'q8_0' : 'f16',
    threads: 1,
    backend: 'auto',
    embeddings: false,
    host: process,
    clock: systemClock,
    log: silentLog,
  })
}

export class EngineStand {
  readonly metrics = createMetrics(workerMetrics, { processMetrics: false })
  readonly worker: Worker
  readonly #bus = new ListeningBus()
  readonly #slots: number
  #dispatches = 0

  constructor(runner: ModelRunner, drafting: DraftingOptions) {
    this.#slots = runner.info.slots
    this.worker = createWorker({
      bus: this.#bus,
      clock: drafting.clock ?? systemClock,
      ...(drafting.readMemory === undefined ? {} : { readMemory: drafting.readMemory }),
      runner,
      proposers: { proposers: drafting.proposers, reserve: [], unusable: [] },
      log: silentLog,
      metrics: this.metrics,
      config: {
        ...configOf(runner, drafting.speculation ?? {}),
        experts: (drafting.experts?.files ?? []).map(({ name, path }) => ({ name, path })),
      },
      ...(drafting.experts === undefined ? {} : { experts: { ...noExperts, ...drafting.experts } }),
      hardware: { pid: 1, cpus: 2, metricsUrl: 'http://127.0.0.1:1/metrics' },
      curveStore: drafting.curveStore ?? noMeasurements,
      ...(drafting.createController === undefined ? {} : { createController: drafting.createController }),
    })
    this.worker.start()
  }

  /** As many at once as the worker has slots. Answers in the order asked. */
  async ask(requests: readonly Partial<Dispatch>[]): Promise<Answer[]> {
    const answers: Answer[] = []
    const left = [...requests.entries()]
    const lane = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) answers[next[0]] = await this.#ask(next[1])
    }
    await Promise.all(Array.from({ length: this.#slots }, lane))
    return answers
  }

  /** Ends all that run, as if their clients had left: their answers are what they have so far. */
  cancel(): void {
    for (const id of this.#bus.open()) this.#bus.deliver('cancel', encode({ id, reason: 'client-left' }))
  }

  async #ask(request: Partial<Dispatch>): Promise<Answer> {
    const id = DispatchId.parse(`dispatch-${++this.#dispatches}`)
    const ended = this.#bus.answerTo(id)
    const message = dispatchOf({ deadlineMs: 600_000, ...request, id })
    for (const payload of split(id, encode(message))) this.#bus.deliver('dispatch', payload)
    return ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker.stop()
  }
}

/** Joins what a router would be told; answers by dispatch. */
class ListeningBus extends StubBus {
  readonly #parts = new Assembler()
  readonly #open = new Map<
    DispatchId,
    { readonly answer: PromiseWithResolvers<Answer>; readonly choices: AnswerChoice[] }
  >()

  answerTo(id: DispatchId): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>()
    this.#open.set(id, { answer, choices: [] })
    return answer.promise
  }

  open(): DispatchId[] {
    return [...this.#open.keys()]
  }

  override publish(subject: string, payload: Uint8Array): void {
    if (subject !== subjects.stream(router)) return
    const part = parsePart(payload)
    const whole = part === null ? payload : this.#parts.add(part, systemClock.now())
    if (whole !== null) for (const event of decode(StepFrame, whole).events) this.#take(event)
  }

  #take(event: StepFrame['events'][number]): void {
    const open = this.#open.get(event.id)
    if (open === undefined || event.kind === 'accepted') return
    if (event.kind === 'refused') return this.#fail(event.id, event.failure.message)
    for (const { index, tokens, text } of event.choices) {
      const choice = (open.choices[index] ??= { tokens: [], text: '' })
      choice.tokens.push(...tokens)
      choice.text += text
    }
    if (event.kind === 'delta') return
    const { outcome } = event
    if (outcome.kind === 'failed') return this.#fail(event.id, outcome.failure.message)
    this.#open.delete(event.id)
    open.answer.resolve({ choices: open.choices, usage: outcome.usage })
  }

  #fail(id: DispatchId, message: string): void {
    this.#open.get(id)?.answer.reject(new Error(message))
    this.#open.delete(id)
  }
}

function configOf({ info }: ModelRunner, speculation: Partial<Speculation>): WorkerConfig {
  return WorkerConfig.parse({
    worker: workerId,
    deployment: DeploymentName.parse('real'),
    revision: Revision.parse('r1'),
    modelPath: '/opened/elsewhere',
    modelSha256: null,
    // A number of threads of its own: what runs beside a test must not change it.
    engine: { slots: info.slots, contextTokensMax: info.contextTokensMax, prefixCacheMiB: 0, threads: 1 },
    kvCacheType: 'auto',
    speculation: { controller: 'fixed', ...speculation },
    nats: { url: 'nats://stub', user: 'worker' },
    slo: {},
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
}
