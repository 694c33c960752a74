/**
 * What a worker's cost curve starts with, and what a measurement of it holds for. Pure.
 */
import { type CostCurve, priorCurve } from '#algorithms/costCurve.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { ModelRunner } from './modelRunner.ts'

export interface CurveFacts {
  readonly runner: Pick<ModelRunner, 'info'>
  readonly config: WorkerConfig
  readonly hardware: { readonly cpus: number }
}

/** What is known before the first step: the simulation's own settings, or a guess that the first step corrects. */
export function firstCurve({ runner, config }: CurveFacts): CostCurve {
  const { slots, contextTokensMax } = runner.info
  const { simulated } = config.engine
  const stepMs = Math.max(0.1, simulated?.stepMs ?? 10)
  return priorCurve({
    slots: rowsMeasured(slots),
    contextTokensMax,
    stepMs,
    promptTokensPerSecond: simulated?.promptTokensPerSecond ?? 500,
  })
}

/** The curve must know what drafts cost: rows beyond one per sequence. More than this are never worth their price. */
function rowsMeasured(slots: number): number {
  return Math.max(slots, Math.min(64, 16 + 2 * slots))
}

/** Watched only where threads are ours to choose and compute on the CPU. */
export function threadsMax({ runner, config, hardware }: CurveFacts): number | null {
  const isWatched = config.engine.threads === 'auto' && !runner.info.simulated && runner.info.backend === 'cpu'
  return isWatched ? hardware.cpus : null
}

export function measurementKey({ runner, config, hardware }: CurveFacts): string {
  const { library, backend, cpu, kvCacheType, kvLayout, slots } = runner.info
  const threads = config.engine.threads === 'auto' ? hardware.cpus : config.engine.threads
  const rows = rowsMeasured(slots)
  return JSON.stringify([config.modelSha256, library, backend, cpu, threads, kvCacheType, kvLayout, slots, rows])
}
