/**
 * One worker, put together: inbox, engine and outbox around one runner, its registration and reports, its start and its end.
 *
 * Everything it touches is handed in, so that the simulation runs it whole. `start` returns at once and accepts work at once;
 * cached measurements arrive when they do. `drain` accepts nothing new, lets what runs end within the grace, cancels the rest, takes
 * the registration away; `finished` resolves then, and rejects when the engine met a bug.
 */
import { curveFrom, curveMessage } from '#algorithms/costCurve.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { version } from '#runtime/version.ts'
import { capabilitiesOf } from './capabilities.ts'
import { Calibration, KeptCurve } from './curveCalibration.ts'
import { firstCurve, measurementKey, threadsMax } from './curveFacts.ts'
import type { ChatTemplate } from './chat/template.ts'
import { createController } from './core/speculation/createController.ts'
import type { Proposers } from './createProposers.ts'
import { EmbeddingQueue } from './embeddingQueue.ts'
import { Engine } from './engine.ts'
import { MeasurementWork } from './idleWork.ts'
import { Inbox } from './inbox.ts'
import { Jobs } from './jobs.ts'
import type { MeasurementStore } from './measurementStore.ts'
import { Meter, type WorkerMetrics } from './meter.ts'
import type { ModelRunner } from './modelRunner.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { Pace } from './pace.ts'
import { followRecord } from './pairRecord.ts'
import type { ReadMemory } from './memory.ts'
import { MemoryWatch } from './memoryWatch.ts'
import { Placement } from './placement.ts'
import { PrefixCache } from './prefixCache.ts'
import { createPrepare, openTemplate } from './prepare.ts'
import { type ExpertSupplies, noExperts } from './expertSupplies.ts'
import { Reporter, type WorkerState } from './report.ts'
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

export interface Worker {
  start(): void
  /** Resolves when everything has ended. A second call changes nothing. */
  drain(graceMs: number): Promise<void>
  /** As `drain` without grace. */
  stop(): Promise<void>
  readonly state: WorkerState
  readonly isIdle: boolean
  /** For `paceline status` and tests. */
  report(): Omit<WorkerReport, 'number'>
  readonly finished: Promise<void>
}

export function createWorker(options: WorkerOptions): Worker {
  return new AssembledWorker(options)
}

const mib = 1024 * 1024

class AssembledWorker implements Worker {
  readonly #o: WorkerOptions
  readonly #meter: Meter
  readonly #outbox: Outbox
  readonly #cache: PrefixCache
  readonly #placement: Placement
  readonly #pace: Pace
  readonly #speculator: Speculator
  readonly #experts: WorkerExperts
  readonly #jobs: Jobs
  readonly #embeddings: EmbeddingQueue
  readonly #calibration: Calibration
  readonly #measurements: MeasurementWork
  readonly #engine: Engine
  readonly #inbox: Inbox
  readonly #reporter: Reporter
  readonly #memory: MemoryWatch
  readonly #template: ChatTemplate | null
  readonly #capabilities: WorkerRecord['capabilities']
  readonly #finished = Promise.withResolvers<void>()
  #state: WorkerState = 'loading'
  #subscription: Subscription | null = null
  #pairRecord: Promise<Subscription | null> = Promise.resolve(null)
  #ending: Promise<void> | null = null

  constructor(options: WorkerOptions) {
    this.#o = options
    const { bus, clock, runner, log, metrics, config } = options
    const onChange = () => this.#reporter.poke()
    this.#template = openTemplate(runner, log)
    this.#capabilities = capabilitiesOf({ runner, config, canChat: this.#template !== null })
    this.#meter = new Meter({ metrics, model: config.deployment, info: runner.info })
    this.#outbox = createOutbox({ bus, clock, worker: config.worker, onResent: (count) => this.#meter.resent(count) })
    this.#cache = new PrefixCache({ bytesMax: config.engine.prefixCacheMiB * mib })
    this.#placement = new Placement({ runner, cache: this.#cache })
    this.#pace = new Pace({
      runner,
      curve: firstCurve(options),
      log,
      threadsMax: threadsMax(options),
      now: clock.now(),
      onStep: (step) => this.#calibration.stepped(step),
    })
    const shared = { runner, placement: this.#placement, pace: this.#pace, meter: this.#meter }
    this.#speculator = this.#createSpeculator()
    this.#experts = this.#createExperts()
    const onLeft = (key: number) => this.#speculator.forget(key)
    this.#jobs = new Jobs({ ...shared, slo: config.slo, experts: this.#experts.turns, onChange, onLeft })
    this.#embeddings = new EmbeddingQueue({
      runner,
      clock,
      onChange,
      outbox: this.#outbox,
      sliceTokensMax: config.engine.promptChunkTokensMax,
    })
    this.#calibration = this.#createCalibration()
    this.#measurements = new MeasurementWork({
      runner,
      log,
      placement: this.#placement,
      calibration: this.#calibration,
      store: options.curveStore,
      key: measurementKey(options),
      wantsProof: config.engine.reproducible,
      onReproducible: () => this.#reporter.register(),
    })
    this.#engine = new Engine({
      ...shared,
      clock,
      log,
      outbox: this.#outbox,
      jobs: this.#jobs,
      embeddings: this.#embeddings,
      chunkTokensMax: config.engine.promptChunkTokensMax,
      speculator: this.#speculator,
      idleWork: this.#measurements,
    })
    this.#inbox = this.#createInbox()
    this.#reporter = this.#createReporter()
    const read = options.readMemory ?? (() => Promise.resolve(null))
    this.#memory = new MemoryWatch({
      clock,
      log,
      meter: this.#meter,
      speculator: this.#speculator,
      info: runner.info,
      read,
    })
  }

  get state(): WorkerState {
    return this.#state
  }

  get isIdle(): boolean {
    return this.#engine.isIdle
  }

  get finished(): Promise<void> {
    return this.#finished.promise
  }

  start(): void {
    this.#state = 'ready'
    this.#subscription = this.#inbox.subscribe()
    this.#reporter.start()
    this.#memory.start()
    this.#pairRecord = followRecord({
      bus: this.#o.bus,
      deployment: this.#o.config.deployment,
      log: this.#o.log,
      onRecord: ({ slo, speculation }) => {
        this.#jobs.changeSlo(slo)
        if (speculation !== undefined) this.#speculator.change(speculation)
      },
    })
    const fail = (error: unknown) => this.#finished.reject(error)
    this.#engine.run().catch(fail)
    this.#loadMeasurements().catch(fail)
  }

  drain(graceMs: number): Promise<void> {
    return (this.#ending ??= this.#end(graceMs))
  }

  stop(): Promise<void> {
    // A drain that is under way is cut short.
    this.#cancelAll()
    return this.drain(0)
  }

  report(): Omit<WorkerReport, 'number'> {
    const { config, runner, clock } = this.#o
    const { slots } = this.#placement
    const waiting = this.#jobs.waitingCount + this.#embeddings.size
    return {
      worker: config.worker,
      deployment: config.deployment,
      revision: config.revision,
      state: this.#state,
      slots: { total: Math.max(this.#jobs.slotsOpen, slots.heldCount), busy: slots.heldCount, waiting },
      cells: { total: slots.total * runner.info.contextTokensMax, used: slots.cellsUsed },
      promptTokensPending: this.#jobs.promptTokensPending,
      prefixes: this.#placement.digests(),
      costCurve: curveMessage(this.#pace.curve),
      acceptanceLength: Math.max(1, this.#pace.acceptanceLength),
      tokensPerSecond: this.#pace.tokensPerSecond(clock.now()),
      ...this.#experts.report,
    }
  }

  #createSpeculator(): Speculator {
    const options = this.#o
    const { clock, log, config, runner } = options
    return new Speculator({
      clock,
      log,
      meter: this.#meter,
      ...options.proposers,
      settings: config.speculation,
      createController: ({ controller }) =>
        (options.createController ?? createController)(controller, {
          curve: () => this.#pace.curve,
          layout: runner.info.kvLayout,
        }),
      vocabularySize: runner.info.vocabularySize,
      // Refused branches leave holes in the cache, and tokens that fill them are added up in another order.
      forksMax: config.engine.reproducible ? 0 : runner.info.forksMax,
      stepMs: (shape) => this.#pace.predictStepMs(shape),
      onChange: () => this.#reporter.register(),
    })
  }

  #createExperts(): WorkerExperts {
    const { config, experts: supplies = noExperts, expertRules: rules = {} } = this.#o
    const onLoaded = () => this.#engine.wake()
    const onRefused = () => this.#reporter.register()
    return new WorkerExperts({ ...this.#o, model: config.deployment, supplies, rules, onLoaded, onRefused })
  }

  #createReporter(): Reporter {
    const { bus, clock, log, config } = this.#o
    return new Reporter({
      bus,
      clock,
      log,
      worker: config.worker,
      report: () => this.report(),
      record: () => this.#record(),
      onTick: () => this.#setGauges(),
    })
  }

  #createCalibration(): Calibration {
    const { clock, log, runner, hardware, curveStore } = this.#o
    return new Calibration({
      runner,
      log,
      clock,
      curve: () => this.#pace.curve,
      threadsMax: threadsMax(this.#o),
      cpuMs: hardware.cpuMs ?? (() => null),
      onDue: () => this.#engine.wake(),
      keep: (kept) => curveStore.write('curve', measurementKey(this.#o), kept),
    })
  }

  #createInbox(): Inbox {
    const { bus, clock, log, runner, config } = this.#o
    return new Inbox({
      bus,
      clock,
      log,
      runner,
      worker: config.worker,
      engine: this.#engine,
      jobs: this.#jobs,
      embeddings: this.#embeddings,
      outbox: this.#outbox,
      prepare: createPrepare({
        runner,
        template: this.#template,
        capabilities: this.#capabilities,
        experts: config.experts,
      }),
      gate: this.#experts.gate,
      isDraining: () => this.#state !== 'ready',
      // Whoever waits for the end does so through `finished`.
      onDrain: (graceMs) => void this.drain(graceMs).catch(() => undefined),
    })
  }

  async #loadMeasurements(): Promise<void> {
    const { curveStore } = this.#o
    const kept = KeptCurve.safeParse(await curveStore.read('curve', measurementKey(this.#o)))
    const curve = kept.success ? curveFrom(kept.data.curve, { isSure: kept.data.isQuiet }) : null
    if (curve !== null) this.#pace.adopt(curve)
    await this.#measurements.load(curve === null ? null : (kept.data ?? null))
    this.#engine.wake()
  }

  async #end(graceMs: number): Promise<void> {
    const { clock, log, curveStore } = this.#o
    log.info({ graceMs, jobs: this.#jobs.size }, 'draining')
    this.#state = 'draining'
    this.#reporter.poke()
    const grace = clock.after(graceMs, () => this.#cancelAll())
    await this.#engine.whenIdle()
    grace.cancel()
    this.#engine.stop()
    this.#outbox.flush()
    this.#memory.stop()
    this.#state = 'stopped'
    this.#subscription?.unsubscribe()
    void this.#pairRecord.then((subscription) => subscription?.unsubscribe())
    await this.#reporter.stop()
    this.#calibration.close()
    const { curve } = this.#pace
    const kept: KeptCurve = { curve: curveMessage(curve), isQuiet: this.#calibration.isTrusted }
    if (curve.origin === 'measured') await curveStore.write('curve', measurementKey(this.#o), kept)
    log.info({}, 'stopped')
    this.#finished.resolve()
  }

  #cancelAll(): void {
    for (const id of [...this.#jobs.ids(), ...this.#embeddings.ids()]) this.#engine.cancel(id, 'shutdown')
  }

  #setGauges(): void {
    const { slots } = this.#placement
    const cells = slots.total * this.#o.runner.info.contextTokensMax
    this.#meter.gauges({
      running: slots.heldCount,
      waiting: this.#jobs.waitingCount + this.#embeddings.size,
      cellsUsedShare: slots.cellsUsed / cells,
      threads: this.#o.runner.threads,
      prefixCacheBytes: this.#cache.bytes,
    })
    this.#experts.setGauges(this.#jobs.experts())
  }

  #record(): WorkerRecord {
    const { config, runner, hardware } = this.#o
    const { info } = runner
    return {
      worker: config.worker,
      deployment: config.deployment,
      revision: config.revision,
      pid: hardware.pid,
      version,
      metricsUrl: hardware.metricsUrl,
      engine: {
        kind: info.kind,
        simulated: info.simulated,
        backend: info.backend,
        library: info.library,
        threads: runner.threads,
        kvCacheType: info.kvCacheType,
        reproducible: this.#measurements.reproducible,
      },
      slots: info.slots,
      contextTokensMax: info.contextTokensMax,
      capabilities: this.#capabilities,
      ...this.#experts.state(),
      speculation: this.#speculator.state,
    }
  }
}
