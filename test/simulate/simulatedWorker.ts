/** A worker as `gpu-worker/main.ts` makes it, with the simulated engine, on a simulated process. */
import type { DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { CostCurveMessage } from '#contracts/messages.ts'
import type { Fault } from '#contracts/resources/modelDeployment.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { simulatedProposers } from '../../gpu-worker/createProposers.ts'
import { noMeasurements } from '../../gpu-worker/measurementStore.ts'
import { createSimulatedRunner } from '../../gpu-worker/simulated/simulatedRunner.ts'
import { createWorker, type Worker } from '../../gpu-worker/worker.ts'
import { workerMetricsShared } from './sharedMetrics.ts'

export interface SimulatedWorkerOptions {
  readonly worker: WorkerId
  readonly deployment: DeploymentName
  readonly revision: Revision
  readonly bus: Bus
  readonly clock: Clock
  readonly slots: number
  readonly faults: readonly Fault[]
  readonly contextTokensMax?: number
  /** What its steps take and what it has measured of them; a straight line where none is given. */
  readonly curve?: CostCurveMessage
  /** Told of every step: what it takes. */
  readonly onStep?: (ms: number) => void
  readonly crash: () => void
  /** A bug ended the engine loop: `gpu-worker/main.ts` would end the process. */
  readonly onBug: (error: unknown) => void
}

export function startSimulatedWorker(options: SimulatedWorkerOptions): Worker {
  const { bus, clock } = options
  // All workers have one model seed: their texts must be the same.
  const simulated = { ...timesOf(options), seed: 1, faults: [...options.faults] }
  const config = WorkerConfig.parse({
    worker: options.worker,
    deployment: options.deployment,
    revision: options.revision,
    modelPath: null,
    modelSha256: null,
    engine: { kind: 'simulated', slots: options.slots, contextTokensMax: options.contextTokensMax ?? 1_024, simulated },
    kvCacheType: 'auto',
    slo: { ttftMs: 1_000, tpotMs: 100 },
    nats: { url: 'nats://fake', user: 'worker' },
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
  const { engine } = config
  if (engine.simulated === undefined) throw new Error('the engine is simulated')
  const runner = createSimulatedRunner({
    ...engine.simulated,
    slots: engine.slots,
    contextTokensMax: engine.contextTokensMax,
    kvLayout: engine.kvLayout,
    clock,
    crash: options.crash,
  })
  const run = runner.decode.bind(runner)
  runner.decode = async (spans) => {
    const result = await run(spans)
    if (result.kind === 'decoded') options.onStep?.(result.decodeMs)
    return result
  }
  const hardware = { pid: 1, cpus: 1, metricsUrl: 'http://fake' }
  const metrics = workerMetricsShared()
  const worker = createWorker({
    bus,
    clock,
    runner,
    proposers: simulatedProposers(config, { clock }),
    log: silentLog,
    metrics,
    config,
    hardware,
    curveStore: {
      ...noMeasurements,
      read: (kind) =>
        Promise.resolve(
          kind === 'curve' && options.curve !== undefined ? { curve: options.curve, isQuiet: true } : null,
        ),
    },
  })
  worker.finished.catch(options.onBug)
  worker.start()
  return worker
}

function timesOf({ curve }: SimulatedWorkerOptions) {
  if (curve === undefined) return { promptTokensPerSecond: 2_000, stepMs: 10, rowMs: 1 }
  const { rows, contexts, ms, promptTokensPerSecond } = curve
  return { costCurve: { rows, contexts, ms }, promptTokensPerSecond }
}
