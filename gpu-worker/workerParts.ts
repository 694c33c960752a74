/**
 * What a worker consists of: every part, made in the order in which they need each other, and who is told of what. Starting and ending them
 * is `worker.ts`; what they say together is `workerFacts.ts`.
 */
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { capabilitiesOf } from './capabilities.ts'
import type { ChatTemplate } from './chat/template.ts'
import { createController } from './core/speculation/createController.ts'
import type { Proposers } from './createProposers.ts'
import { Calibration } from './curveCalibration.ts'
import { firstCurve, measurementKey, threadsMax } from './curveFacts.ts'
import { EmbeddingQueue } from './embeddingQueue.ts'
import { Engine } from './engine.ts'
import { type ExpertSupplies, noExperts } from './expertSupplies.ts'
import { MeasurementWork } from './idleWork.ts'
import { Inbox } from './inbox.ts'
import { Jobs } from './jobs.ts'
import type { MeasurementStore } from './measurementStore.ts'
import type { ReadMemory } from './memory.ts'
import { MemoryWatch } from './memoryWatch.ts'
import { Meter, type WorkerMetrics } from './meter.ts'
import type { ModelRunner } from './modelRunner.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { Pace } from './pace.ts'
import { PairRecord } from './pairRecord.ts'
import { Placement } from './placement.ts'
import { PrefixCache } from './prefixCache.ts'
import { createPrepare, openTemplate } from './prepare.ts'
import { Reporter } from './report.ts'
import { Speculator } from './speculator.ts'
import { type ExpertRules, WorkerExperts } from './workerExperts.ts'

export interface WorkerOptions {
  readonly bus: Bus
  readonly clock: Clock
  readonly runner: ModelRunner
  readonly proposers: Proposers
  readonly log: Log
  readonly metrics: WorkerMetrics
  readonly config: WorkerConfig
  readonly hardware: Hardware
  readonly curveStore: MeasurementStore
  /** Absent: none. */
  readonly experts?: ExpertSupplies
  readonly expertRules?: ExpertRules
  /** Who decides how much to draft; absent: as the settings say. */
  readonly createController?: typeof createController
  /** Absent: memory is not watched. */
  readonly readMemory?: ReadMemory
}

export interface Hardware {
  readonly pid: number
  /** CPUs this process may use: by affinity and quota. */
  readonly cpus: number
  /** Where `/metrics` is served, for the registration. */
  readonly metricsUrl: string
  /** CPU time of this process so far, all threads; absent: nobody knows. */
  readonly cpuMs?: () => number
}

/** What parts ask of the worker as a whole. */
export interface WorkerHooks {
  readonly report: () => Omit<WorkerReport, 'number'>
  readonly record: () => WorkerRecord
  /** At the pace of reports. */
  readonly onTick: () => void
  readonly isDraining: () => boolean
  readonly onDrain: (graceMs: number) => void
}

/** What runs beside the engine for as long as the worker does. */
export interface Part {
  start(): void
  stop(): void | Promise<void>
}

const mib = 1024 * 1024

export class WorkerParts {
  readonly #o: WorkerOptions
  readonly #template: ChatTemplate | null
  readonly capabilities: WorkerRecord['capabilities']
  readonly meter: Meter
  readonly outbox: Outbox
  readonly cache: PrefixCache
  readonly placement: Placement
  readonly pace: Pace
  readonly speculator: Speculator
  readonly experts: WorkerExperts
  readonly jobs: Jobs
  readonly embeddings: EmbeddingQueue
  readonly calibration: Calibration
  readonly measurements: MeasurementWork
  readonly engine: Engine
  readonly inbox: Inbox
  readonly reporter: Reporter
  /** They begin and end in this order: nobody hears of a worker that does not listen, and one that has ended is taken off the register last. */
  readonly beside: readonly Part[]

  constructor(options: WorkerOptions, hooks: WorkerHooks) {
    this.#o = options
    const { bus, clock, runner, log, metrics, config } = options
    const onChange = () => this.reporter.poke()
    this.#template = openTemplate(runner, log)
    this.capabilities = capabilitiesOf({ runner, config, canChat: this.#template !== null })
    this.meter = new Meter({ metrics, model: config.deployment, info: runner.info })
    this.outbox = createOutbox({ bus, clock, worker: config.worker, onResent: (count) => this.meter.resent(count) })
    this.cache = new PrefixCache({ bytesMax: config.engine.prefixCacheMiB * mib })
    this.placement = new Placement({ runner, cache: this.cache })
    this.pace = new Pace({
      runner,
      curve: firstCurve(options),
      log,
      threadsMax: threadsMax(options),
      now: clock.now(),
      draftsByWorth: () => this.speculator.draftsByWorth,
      onStep: (step) => this.calibration.stepped(step),
    })
    const shared = { runner, placement: this.placement, pace: this.pace, meter: this.meter }
    this.speculator = this.#createSpeculator()
    this.experts = this.#createExperts()
    const onLeft = (key: number) => this.speculator.forget(key)
    this.jobs = new Jobs({ ...shared, slo: config.slo, experts: this.experts.turns, onChange, onLeft })
    this.embeddings = new EmbeddingQueue({
      runner,
      clock,
      onChange,
      outbox: this.outbox,
      sliceTokensMax: config.engine.promptChunkTokensMax,
    })
    this.calibration = this.#createCalibration()
    this.measurements = new MeasurementWork({
      runner,
      log,
      placement: this.placement,
      calibration: this.calibration,
      store: options.curveStore,
      key: measurementKey(options),
      wantsProof: config.engine.reproducible,
      onReproducible: () => this.reporter.register(),
    })
    this.engine = new Engine({
      ...shared,
      clock,
      log,
      outbox: this.outbox,
      jobs: this.jobs,
      embeddings: this.embeddings,
      chunkTokensMax: config.engine.promptChunkTokensMax,
      speculator: this.speculator,
      idleWork: this.measurements,
    })
    this.inbox = this.#createInbox(hooks)
    this.reporter = new Reporter({ bus, clock, log, worker: config.worker, ...hooks })
    this.beside = [this.inbox, this.#createMemoryWatch(), this.#createPairRecord(), this.reporter]
  }

  #createSpeculator(): Speculator {
    const options = this.#o
    const { clock, log, config, runner } = options
    return new Speculator({
      clock,
      log,
      meter: this.meter,
      ...options.proposers,
      settings: config.speculation,
      createController: ({ controller }) =>
        (options.createController ?? createController)(controller, {
          curve: () => this.pace.curve,
          layout: runner.info.kvLayout,
        }),
      vocabularySize: runner.info.vocabularySize,
      // Refused branches leave holes in the cache, and tokens that fill them are added up in another order.
      forksMax: config.engine.reproducible ? 0 : runner.info.forksMax,
      stepMs: (shape) => this.pace.predictStepMs(shape),
      onChange: () => this.reporter.register(),
    })
  }

  #createExperts(): WorkerExperts {
    const { config, experts: supplies = noExperts, expertRules: rules = {} } = this.#o
    const onLoaded = () => this.engine.wake()
    const onRefused = () => this.reporter.register()
    return new WorkerExperts({ ...this.#o, model: config.deployment, supplies, rules, onLoaded, onRefused })
  }

  #createCalibration(): Calibration {
    const { clock, log, runner, hardware, curveStore } = this.#o
    return new Calibration({
      runner,
      log,
      clock,
      curve: () => this.pace.curve,
      threadsMax: threadsMax(this.#o),
      cpuMs: hardware.cpuMs ?? (() => null),
      onDue: () => this.engine.wake(),
      keep: (kept) => curveStore.write('curve', measurementKey(this.#o), kept),
    })
  }

  #createInbox({ isDraining, onDrain }: WorkerHooks): Inbox {
    const { bus, clock, log, runner, config } = this.#o
    return new Inbox({
      bus,
      clock,
      log,
      runner,
      worker: config.worker,
      engine: this.engine,
      jobs: this.jobs,
      embeddings: this.embeddings,
      outbox: this.outbox,
      prepare: createPrepare({
        runner,
        template: this.#template,
        capabilities: this.capabilities,
        experts: config.experts,
      }),
      gate: this.experts.gate,
      isDraining,
      onDrain,
    })
  }

  #createMemoryWatch(): MemoryWatch {
    const { clock, log, runner, readMemory: read = () => Promise.resolve(null) } = this.#o
    return new MemoryWatch({ clock, log, meter: this.meter, speculator: this.speculator, info: runner.info, read })
  }

  #createPairRecord(): PairRecord {
    const { bus, log, config } = this.#o
    return new PairRecord({
      bus,
      log,
      deployment: config.deployment,
      onRecord: ({ slo, speculation }) => {
        this.jobs.changeSlo(slo)
        if (speculation !== undefined) this.speculator.change(speculation)
      },
    })
  }
}
