/**
 * How much to speculate in this step: the contract between the engine loop and whoever decides (`SmartSpec`, fixed, threshold).
 *
 * Three questions per step, all answered from draft-side data and earlier steps: whom to ask for how many tokens (`asks`), how
 * many of the proposed nodes to verify (`cuts`), and, after the step, what came of it (`learn`). A controller holds numbers and no
 * clock; length 0 is a full citizen: no ask, no draft call.
 */
import type { Proposal, ProposerMethod } from './proposer.ts'

/** One running sequence of the step that is about to be planned. */
export interface RunningSequence {
  readonly key: number
  /** Cells it attends to. */
  readonly contextTokens: number
  /** Tokens that may be drafted for it: limited by its context and the operator's `draftTokensMax`; 0: must not draft. */
  readonly tokensMax: number
  /**
   * Tokens it may still gain, `max_tokens` at most. Beyond them a draft gains nothing, but may keep the batch even: one sequence at its end
   * that brings fewer rows than the others costs the split layout further passes over the weights. Absent: as many as are drafted.
   */
  readonly gainMax?: number
  /** Proposers that can serve it now, in the order of preference at equal worth. */
  readonly methods: readonly ProposerMethod[]
}

export interface StepFacts {
  /** Prompt tokens that share the step with the running sequences. */
  readonly promptTokens: number
  /** Rows the batch has left for drafts. */
  readonly rowsMax: number
  /** Paths that the trees of this step may have beyond one per sequence; 0, or absent: chains only. */
  readonly forksMax?: number
}

export interface Ask {
  readonly key: number
  readonly method: ProposerMethod
  /** More than 0. */
  readonly tokensMax: number
  readonly depthMax: number
  /** As `ProposalRequest.rejectedMax`. */
  readonly rejectedMax?: number
}

/** Verify the first `nodes` nodes of the proposal (trees are in an order that makes every beginning a tree); 0: drop it. */
export interface Cut {
  readonly key: number
  readonly nodes: number
}

export interface RoundOutcome {
  readonly key: number
  readonly method: ProposerMethod
  /** Nodes proposed, and nodes that were verified. */
  readonly proposed: number
  readonly verified: number
  /** Draft tokens that became text (path length). */
  readonly accepted: number
  /** Longest path that was verified: `accepted === depth` says nothing about the position after it. */
  readonly depth: number
  /** Of a tree: the nodes that became text, as indexes of the proposal, whose first `verified` nodes were verified. */
  readonly path?: readonly number[]
}

export interface StepOutcome {
  /** One per sequence that drafted. */
  readonly rounds: readonly RoundOutcome[]
  /** Sequences that ran without a draft. */
  readonly plain: readonly number[]
  /** What proposing took, all proposers together, by method. */
  readonly draftMs: Readonly<Partial<Record<ProposerMethod, number>>>
  readonly decodeMs: number
}

export interface SpeculationController {
  /** `running` is in the order of the sequence ids, which have no gaps: the order decides what unequal lengths cost. */
  asks(running: readonly RunningSequence[], step: StepFacts): Ask[]
  cuts(running: readonly RunningSequence[], proposals: readonly Proposal[], step: StepFacts): Cut[]
  learn(outcome: StepOutcome): void
  /** Nothing of this sequence is kept. */
  forget(key: number): void
}
