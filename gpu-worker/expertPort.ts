/**
 * Experts of a runner: adapters on its one model. One of them, or none, is attached for everything that a decode computes.
 *
 * Cells belong to the expert under which they were computed: a sequence whose cells are another's must be emptied first. The caller
 * keeps that; the simulated runner proves it. Both runners pass `test/behaviour/experts`.
 */
import { Failure } from '#contracts/failure.ts'
import type { ExpertRefusal } from '#contracts/records.ts'

export interface ExpertPort {
  /** Those that can be attached, in the order in which they were loaded. */
  readonly loaded: ReadonlyMap<string, LoadedExpert>
  readonly attached: string | null
  /** May run beside a decode. Throws `AdapterRefused` where the file is no adapter of this model. Loaded again, it stays as it is. */
  load(name: string, path: string): Promise<LoadedExpert>
  /** Frees it. Never the attached one. */
  unload(name: string): void
  /** Between two decodes, for all that follow; null: the model as it is. */
  attach(name: string | null): void
}

export interface LoadedExpert {
  /** What it takes in memory. */
  readonly bytes: number
}

/** Of this worker: others may be able to use it. */
export class AdapterRefused extends Failure {
  readonly reason: ExpertRefusal['reason']

  constructor(reason: ExpertRefusal['reason'], message: string, options: { cause?: unknown } = {}) {
    super('model-unusable', message, { ...options, retry: { kind: 'elsewhere' } })
    this.reason = reason
  }
}
