/**
 * What every verb is given: the machine as ports, so that verbs can be tested without one.
 */
import type { Clock } from '#runtime/clock.ts'
import type { CliConfig } from './config.ts'
import type { Terminal } from './terminal.ts'

export interface Context {
  readonly config: CliConfig
  readonly clock: Clock
  readonly terminal: Terminal
  readonly random: () => number
  readonly interrupts: Interrupts
}

export interface Interrupts {
  /** Aborted by the first Ctrl-C, SIGTERM, or the death of whoever started us: end in order. */
  readonly first: AbortSignal
  /** Aborted by the second: end at once. */
  readonly second: AbortSignal
  /** From now on the death of the starter means nothing: a detached instance is up. */
  outliveStarter(): void
}

/** Ends with the process's exit code; throws `Failure` for what one line can explain. */
export type Verb = (args: readonly string[], context: Context) => Promise<number>
