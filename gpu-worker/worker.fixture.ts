/**
 * For tests of the worker's parts: a worker with the simulated engine on a fake clock, and a router's view of what it says.
 * Nothing here is used outside of tests.
 */
import { expect } from 'vitest'
import { DeploymentName, DispatchId, RequestId, Revision, RouterId, TenantId, WorkerId } from '#contracts/ids.ts'
import { workerMetrics } from '#contracts/metrics.ts'
import { type Dispatch, type RequestEvent, StepFrame, WorkerReport } from '#contracts/messages.ts'
import { Assembler, parsePart, split } from '#contracts/parts.ts'
import { SimulatedSettings, type Speculation } from '#contracts/resources/modelDeployment.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { type Bucket, subjects, type WorkerInboxKind } from '#contracts/subjects.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Bus, KeyValueEntry, Subscription } from '#runtime/bus.ts'
import { type Log, silentLog } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { createFakeClock, type FakeClock, type ProcessClock } from '#test/simulate/fakeClock.ts'
import type { Proposer } from './proposer.ts'
import { type Proposers, simulatedProposers } from './createProposers.ts'
import { type ExpertSupplies, noExperts } from './expertSupplies.ts'
import { type MeasurementStore, noMeasurements } from './measurementStore.ts'
import type { ReadMemory } from './memory.ts'
import type { BatchSpan, ModelRunner } from './modelRunner.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'
import { createWorker, type Worker } from './worker.ts'

export const router = RouterId.parse('router-1')
export const workerId = WorkerId.parse('worker-1')

/** Delivers at once; keeps what was published. */
export class StubBus implements Bus {
  readonly state = 'connected'
  readonly published: { readonly subject: string; readonly payload: Uint8Array }[] = []
  readonly registered = new Map<string, Uint8Array>()
  readonly #watches: { readonly bucket: Bucket; readonly handlers: { entry(entry: KeyValueEntry): void } }[] = []
  #handler: ((payload: Uint8Array, subject: string) => void) | null = null

  publish(subject: string, payload: Uint8Array): void {
    this.published.push({ subject, payload })
  }

  subscribe(_subject: string, handler: (payload: Uint8Array, subject: string) => void): { unsubscribe(): void } {
    this.#handler = handler
    return { unsubscribe: () => (this.#handler = null) }
  }

  get isSubscribed(): boolean {
    return this.#handler !== null
  }

  deliver(kind: WorkerInboxKind, payload: Uint8Array): void {
    this.#handler?.(payload, `${subjects.dispatch(workerId).replace(/dispatch$/, kind)}`)
  }

  onState(): { unsubscribe(): void } {
    return { unsubscribe: () => undefined }
  }

  watch(bucket: Bucket, handlers: { entry(entry: KeyValueEntry): void }): Promise<Subscription> {
    this.#watches.push({ bucket, handlers })
    return Promise.resolve({ unsubscribe: () => undefined })
  }

  /** A bucket's entry has changed. */
  tell(bucket: Bucket, key: string, value: Uint8Array): void {
    for (const watch of this.#watches) if (watch.bucket === bucket) watch.handlers.entry({ key, value })
  }

  put(_bucket: string, key: string, value: Uint8Array): Promise<void> {
    this.registered.set(key, value)
    return Promise.resolve()
  }

  remove(_bucket: string, key: string): Promise<void> {
    this.registered.delete(key)
    return Promise.resolve()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

export interface StandOptions {
  readonly slots?: number
  readonly contextTokensMax?: number
  readonly kvLayout?: 'split' | 'unified'
  readonly cellsMax?: number
  readonly promptChunkTokensMax?: number
  readonly prefixCacheMiB?: number
  readonly embeddings?: boolean
  readonly reproducible?: boolean
  readonly simulated?: Partial<SimulatedSettings>
  readonly speculation?: Partial<Speculation>
  readonly slo?: Partial<WorkerConfig['slo']>
  /** Beside the simulated draft, which is there where `simulated.draftTokens` is over 0. */
  readonly proposers?: readonly Proposer[]
  readonly experts?: Partial<ExpertSupplies>
  readonly log?: Log
  readonly store?: MeasurementStore
  readonly readMemory?: ReadMemory
  /** Looks at, or changes, what the engine asks of the runner. */
  readonly wrap?: (runner: ModelRunner) => ModelRunner
}

export class Stand {
  readonly clock: FakeClock = createFakeClock()
  readonly process: ProcessClock
  readonly bus = new StubBus()
  readonly metrics = createMetrics(workerMetrics, { processMetrics: false })
  readonly runner: ModelRunner
  readonly worker: Worker
  #dispatches = 0
  #read = 0
  readonly #parts = new Assembler()
  readonly #events: RequestEvent[] = []

  constructor(options: StandOptions = {}) {
    this.process = this.clock.process('worker')
    const simulated = SimulatedSettings.parse({ stepMs: 10, rowMs: 1, ...options.simulated })
    const config = configOf(options, simulated)
    const runner = createSimulatedRunner({
      ...simulated,
      slots: config.engine.slots,
      contextTokensMax: config.engine.contextTokensMax,
      kvLayout: config.engine.kvLayout,
      clock: this.process,
      ...(options.cellsMax === undefined ? {} : { cellsMax: options.cellsMax }),
    })
    this.runner = options.wrap?.(runner) ?? runner
    this.worker = createWorker({
      bus: this.bus,
      clock: this.process,
      runner: this.runner,
      proposers: withMore(simulatedProposers(config, { clock: this.process }), options.proposers ?? []),
      log: options.log ?? silentLog,
      metrics: this.metrics,
      config,
      hardware: { pid: 1, cpus: 2, metricsUrl: 'http://127.0.0.1:1/metrics' },
      curveStore: options.store ?? noMeasurements,
      ...(options.readMemory === undefined ? {} : { readMemory: options.readMemory }),
      ...(options.experts === undefined ? {} : { experts: { ...noExperts, ...options.experts } }),
    })
    this.worker.start()
  }

  /** Sends a dispatch and returns its id. */
  send(dispatch: Partial<Dispatch> = {}): DispatchId {
    const id = dispatch.id ?? DispatchId.parse(`dispatch-${++this.#dispatches}`)
    const message = dispatchOf({ ...dispatch, id })
    for (const payload of split(id, encode(message))) this.bus.deliver('dispatch', payload)
    return id
  }

  cancel(id: DispatchId): void {
    this.bus.deliver('cancel', encode({ id, reason: 'client-left' }))
  }

  resend(id: DispatchId, from: number): void {
    this.bus.deliver('resend', encode({ router, requests: [{ id, from }] }))
  }

  /** Everything said about requests so far, in order, repeats included. */
  events(): readonly RequestEvent[] {
    for (; this.#read < this.bus.published.length; this.#read++) {
      const message = this.bus.published[this.#read]
      if (message?.subject !== subjects.stream(router)) continue
      const part = parsePart(message.payload)
      const whole = part === null ? message.payload : this.#parts.add(part, this.clock.now())
      if (whole !== null) this.#events.push(...decode(StepFrame, whole).events)
    }
    return this.#events
  }

  of(id: DispatchId): RequestEvent[] {
    return this.events().filter((event) => event.id === id)
  }

  last(id: DispatchId): RequestEvent | undefined {
    return this.of(id).at(-1)
  }

  isEnded(id: DispatchId): boolean {
    const last = this.last(id)
    return last?.kind === 'final' || last?.kind === 'refused'
  }

  /** Moves time until the request has ended. */
  async end(...ids: DispatchId[]): Promise<void> {
    const isDone = await this.clock.runUntil(() => ids.every((id) => this.isEnded(id)), 120_000)
    if (!isDone) throw new Error(`not ended: ${ids.filter((id) => !this.isEnded(id)).join(', ')}`)
  }

  text(id: DispatchId, choice = 0): string {
    return this.#choices(id, choice)
      .map((delta) => delta.text)
      .join('')
  }

  tokens(id: DispatchId, choice = 0): number[] {
    return this.#choices(id, choice).flatMap((delta) => delta.tokens)
  }

  reports(): WorkerReport[] {
    return this.bus.published
      .filter(({ subject }) => subject.startsWith('paceline.v1.report.'))
      .map(({ payload }) => decode(WorkerReport, payload))
  }

  #choices(id: DispatchId, index: number) {
    return this.of(id)
      .flatMap((event) => (event.kind === 'delta' || event.kind === 'final' ? event.choices : []))
      .filter((choice) => choice.index === index)
  }
}

export function dispatchOf(dispatch: Partial<Dispatch> & { readonly id: DispatchId }): Dispatch {
  return {
    requestId: RequestId.parse(`request-${dispatch.id}`),
    router,
    tenant: TenantId.parse('public'),
    priority: 0,
    deadlineMs: 60_000,
    choices: 1,
    deltaIntervalMs: 0,
    work: { kind: 'completion', prompt: 'the quick brown fox', echo: false },
    ...dispatch,
    sampling: { ...samplingDefaults, seed: 7, maxTokens: 16, ignoreEos: true, ...dispatch.sampling },
  }
}

/** A test's own proposers take the place of those of the same method. */
function withMore(own: Proposers, more: readonly Proposer[]): Proposers {
  const methods = more.map(({ method }) => method)
  const others = own.proposers.filter(({ method }) => !methods.includes(method))
  return { ...own, proposers: [...others, ...more], reserve: own.reserve.filter((method) => !methods.includes(method)) }
}

function configOf(options: StandOptions, simulated: SimulatedSettings): WorkerConfig {
  return WorkerConfig.parse({
    worker: workerId,
    deployment: DeploymentName.parse('tiny'),
    revision: Revision.parse('r1'),
    modelPath: null,
    modelSha256: null,
    engine: {
      kind: 'simulated',
      slots: options.slots ?? 4,
      contextTokensMax: options.contextTokensMax ?? 512,
      kvLayout: options.kvLayout ?? 'split',
      promptChunkTokensMax: options.promptChunkTokensMax ?? 64,
      prefixCacheMiB: options.prefixCacheMiB ?? 1,
      embeddings: options.embeddings ?? false,
      reproducible: options.reproducible ?? false,
      simulated,
    },
    kvCacheType: 'auto',
    experts: (options.experts?.files ?? []).map(({ name, path }) => ({ name, path })),
    speculation: { controller: 'fixed', ...options.speculation },
    slo: { ttftMs: 1_000, tpotMs: 100, ...options.slo },
    nats: { url: 'nats://stub', user: 'worker' },
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
}

export const sampling = (more: Partial<Dispatch['sampling']> = {}): Dispatch['sampling'] => ({
  ...samplingDefaults,
  seed: 7,
  maxTokens: 16,
  ignoreEos: true,
  ...more,
})
/** A prompt of `length` tokens; equal `from` means equal tokens. */
export const promptOf = (length: number, from = 0): Dispatch['work'] => ({
  kind: 'completion',
  prompt: Array.from({ length }, (_, i) => 256 + ((i * 7 + from * 13) % 100)),
  echo: false,
})

/** A stand that records the spans of every decode. */
export function recording(options: StandOptions = {}) {
  const steps: (readonly BatchSpan[])[] = []
  const wrap = (runner: ModelRunner): ModelRunner => {
    const decode = runner.decode.bind(runner)
    runner.decode = (spans) => {
      steps.push(spans)
      return decode(spans)
    }
    return runner
  }
  return { stand: new Stand({ ...options, wrap }), steps }
}

/** What must hold once everything has ended: exactly one end each, numbers without gaps, nothing left over. */
export function expectAllEnded(stand: Stand, ids: readonly DispatchId[]): void {
  for (const id of ids) {
    const events = stand.of(id)
    expect(events.map((event) => event.number)).toEqual(events.map((_, i) => i))
    expect(events.filter((event) => event.kind === 'final' || event.kind === 'refused')).toHaveLength(1)
  }
  const { slots, cells } = stand.worker.report()
  expect(slots).toMatchObject({ busy: 0, waiting: 0 })
  expect(cells.used).toBeLessThanOrEqual(cells.total)
  expect(stand.worker.isIdle).toBe(true)
}
