/** What conditions are judged by: one snapshot with what the planner made of it, and how figures are worded. Pure. */
import type { Desired, ModelState, Observed } from './observed.ts'
import type { NextStep } from './plan.ts'
import type { Course } from './rollout.ts'
import type { JudgedWorker } from './workers.ts'

export interface Facts {
  readonly observed: Observed
  readonly desired: Desired
  readonly course: Course
  readonly next: NextStep
  readonly workers: readonly JudgedWorker[]
  readonly ready: readonly JudgedWorker[]
  /** Of the target revision. */
  readonly readyNew: readonly JudgedWorker[]
}

export function progressOf(model: ModelState): string {
  if (model.kind !== 'fetching') return 'the model is about to be fetched'
  const total = model.bytesTotal === null ? '' : ` of ${mib(model.bytesTotal)}`
  return `${model.activity}: ${mib(model.bytes)}${total} MiB, ${mib(model.bytesPerSecond)} MiB/s`
}

const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
export const count = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`
