/** What a worker says of itself: its report, its registration and its gauges, read off its parts. */
import { curveMessage } from '#algorithms/costCurve.ts'
import type { WorkerReport } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import { version } from '#runtime/version.ts'
import type { WorkerState } from './report.ts'
import type { WorkerOptions, WorkerParts } from './workerParts.ts'

export class WorkerFacts {
  readonly #o: WorkerOptions
  readonly #parts: WorkerParts

  constructor(options: WorkerOptions, parts: WorkerParts) {
    this.#o = options
    this.#parts = parts
  }

  report(state: WorkerState): Omit<WorkerReport, 'number'> {
    const { config, runner, clock } = this.#o
    const { placement, jobs, embeddings, pace, experts } = this.#parts
    const { slots } = placement
    const waiting = jobs.waitingCount + embeddings.size
    return {
      worker: config.worker,
      deployment: config.deployment,
      revision: config.revision,
      state,
      slots: { total: Math.max(jobs.slotsOpen, slots.heldCount), busy: slots.heldCount, waiting },
      cells: { total: slots.total * runner.info.contextTokensMax, used: slots.cellsUsed },
      promptTokensPending: jobs.promptTokensPending,
      prefixes: placement.digests(),
      costCurve: curveMessage(pace.curve),
      acceptanceLength: Math.max(1, pace.acceptanceLength),
      tokensPerSecond: pace.tokensPerSecond(clock.now()),
      ...experts.report,
    }
  }

  setGauges(): void {
    const { runner } = this.#o
    const { placement, jobs, embeddings, cache, meter, experts } = this.#parts
    const { slots } = placement
    meter.gauges({
      running: slots.heldCount,
      waiting: jobs.waitingCount + embeddings.size,
      cellsUsedShare: slots.cellsUsed / (slots.total * runner.info.contextTokensMax),
      threads: runner.threads,
      prefixCacheBytes: cache.bytes,
    })
    experts.setGauges(jobs.experts())
  }

  record(): WorkerRecord {
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
        reproducible: this.#parts.measurements.reproducible,
      },
      slots: info.slots,
      contextTokensMax: info.contextTokensMax,
      capabilities: this.#parts.capabilities,
      ...this.#parts.experts.state(),
      speculation: this.#parts.speculator.state,
    }
  }
}
