/**
 * Who proposes tokens ahead of the target, and what a proposal is. One interface for a draft model, prompt lookup, the tri-gram
 * table and the simulation; the engine asks, the controller decides how much, a verifier judges.
 *
 * A proposer knows sequences by key. Tokens of a sequence only grow, so it catches up by itself from the tokens it is shown. What it
 * learns from one sequence never reaches another: tenants share a worker. It never sees the target's logits, and what a
 * verifier is to judge by laws never saw the noise, which is what keeps every verifier lossless.
 */
import type { Processing } from './processedLaw.ts'
import type { Hint } from './proposers/hintLookup.ts'
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
  /** Whoever computes one token after the other ends once the chance that one is rejected is over this; absent: with `tokensMax`. */
  readonly rejectedMax?: number
  /**
   * How whoever has laws of its own is to pick from them; absent: the likeliest tokens. Who has none passes it over.
   */
  readonly drawing?: Drawing
  /** What the answer may repeat; absent: nothing came along. */
  readonly hint?: Hint
}

/** From the proposer's law under the request's own sampling. */
export type Drawing = OwnChance | SameNoise

/** Drawn by chance of the proposer's own; the tree names the laws, and a verifier judges by them. */
interface OwnChance {
  readonly kind: 'own-chance'
  readonly processing: Processing
}

/** The tokens that win with the noise which the request's own are chosen by (`sameNoise.ts`); for the coupled verifier, so no laws are named. */
interface SameNoise {
  readonly kind: 'same-noise'
  readonly processing: Processing
  readonly seed: number
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
