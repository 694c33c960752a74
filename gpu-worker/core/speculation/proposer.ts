/**
 * Who proposes tokens ahead of the target, and what a proposal is. One interface for a draft model, prompt lookup, the tri-gram
 * table and the simulation; the engine asks, the controller decides how much, a verifier judges.
 *
 * A proposer knows sequences by key. Tokens of a sequence only grow, so it catches up by itself from the tokens it is shown. What it
 * learns from one sequence never reaches another: tenants share a worker. It never sees the target's logits or noise, which is what
 * keeps every verifier lossless.
 */
import type { Processing } from './processedLaw.ts'
import type { TokenTree } from './tokenTree.ts'

export const proposerMethods = ['draft', 'ngram', 'trigram', 'simulated'] as const
export type ProposerMethod = (typeof proposerMethods)[number]

/** Those that look tokens up instead of computing one after the other: to ask for more costs no more. */
export const lookups: ReadonlySet<ProposerMethod> = new Set(['ngram', 'trigram'])

export interface ProposalRequest {
  /** The sequence's number in this worker's life (`Sequence.number`). */
  readonly key: number
  /** Prompt and generated tokens, the last of them not yet computed by the target. */
  readonly tokens: readonly number[]
  /** Nodes wanted; fewer, or none, may come back. */
  readonly tokensMax: number
  /** Longest path wanted; less than `tokensMax` where a tree may be proposed. */
  readonly depthMax: number
  /** Whoever computes one token after the other ends where its stop rule finds the next one not worth it. */
  readonly stopsEarly?: boolean
  /**
   * Tokens may be drawn from the proposer's own law, processed like this, and the tree then names those laws: the request has no seed to
   * keep, and draws are accepted more often than the best tokens. Absent: tokens are to be the likeliest ones. Who has no law passes it over.
   */
  readonly drawing?: Processing
}

export interface Proposal {
  readonly key: number
  readonly method: ProposerMethod
  /** A chain is a tree in which node i follows node i - 1. Empty: nothing to propose. */
  readonly tree: TokenTree
  /**
   * For each node the proposer's estimate that the target takes it once its parent is taken, 0 … 1: draft probability, or the rate
   * that such matches had. Draft-side data only.
   */
  readonly confidence: readonly number[]
}

/** One that answers at once; `gpu-worker/proposer.ts` is the port with those that compute elsewhere. */
export interface Proposer {
  readonly method: ProposerMethod
  /**
   * One round for all sequences of a step, answered in the order asked. Throws
   * `Failure('engine-fault')` where the draft itself broke: then the draft is dropped, not the request.
   */
  propose(requests: readonly ProposalRequest[]): Proposal[]
  /** The sequence has ended, or lost its place: nothing of it is kept. */
  forget(key: number): void
  /** Frees what it holds outside of JavaScript; it is not asked again. Absent: there is nothing. */
  close?(): void
}
