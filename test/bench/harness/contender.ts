/** One side of a comparison: where it listens, which processes it consists of, and how it is ended. */
import type { Target } from './client.ts'

export interface Contender {
  readonly target: Target
  /** Process ids by part, for CPU-seconds beside each other. */
  readonly pids: Readonly<Record<string, readonly number[]>>
  stop(): Promise<void>
}
