/** What one step of speculation came to, for metrics: lengths chosen, drafts judged, time spent in vain. Pure. */
import type { StepShape } from '#algorithms/costCurve.ts'
import type { RoundOutcome, RunningSequence } from './controller.ts'
import type { ProposerMethod } from './proposer.ts'

export interface SpeculationFigures {
  /** Tokens verified for each running sequence; 0: none. */
  readonly lengths: readonly number[]
  /** Those that verified something. */
  readonly rounds: readonly { readonly method: ProposerMethod; readonly drafted: number; readonly accepted: number }[]
  readonly draftMs: number
  readonly wastedMs: number
}

export interface StepFigures {
  readonly running: readonly RunningSequence[]
  /** Length of each sequence's chain, by key. */
  readonly chosen: ReadonlyMap<number, number>
  readonly rounds: readonly RoundOutcome[]
  /**
   * Verified tokens of a sequence's draft that could become text, by key. One at its end drafts on to keep the batch even: what lies beyond
   * was not refused by anybody.
   */
  readonly drafted: ReadonlyMap<number, number>
  /** What proposing took, all proposers together. */
  readonly draftMs: number
  /** By the cost curve. */
  readonly stepMs: (shape: StepShape) => number
}

export function figuresOf({ running, chosen, rounds, drafted, draftMs, stepMs }: StepFigures): SpeculationFigures {
  const sum = (of: (round: RoundOutcome) => number) => rounds.reduce((total, round) => total + of(round), 0)
  const accepted = sum((round) => round.accepted)
  const proposed = sum((round) => round.proposed)
  const verified = sum((round) => round.verified)
  const draftedOf = ({ key, verified }: RoundOutcome) => drafted.get(key) ?? verified
  const refused = (ms: number, of: number) => (of === 0 ? ms : ms * (1 - accepted / of))
  return {
    lengths: running.map(({ key }) => chosen.get(key) ?? 0),
    rounds: rounds.flatMap((round) =>
      round.verified === 0 ? [] : [{ method: round.method, drafted: draftedOf(round), accepted: round.accepted }],
    ),
    draftMs,
    wastedMs: refused(draftMs, proposed) + refused(verifyMs(verified, running, stepMs), sum(draftedOf)),
  }
}

/** What so many draft rows add to a step. */
function verifyMs(rows: number, running: readonly RunningSequence[], stepMs: StepFigures['stepMs']): number {
  if (rows === 0) return 0
  const contextTokens = running.reduce((total, each) => total + each.contextTokens, 0) / running.length
  const costOf = (count: number) => stepMs({ rows: count, contextTokens })
  return Math.max(0, costOf(running.length + rows) - costOf(running.length))
}
