/**
 * Synthetic acceptance for a real engine: a proposer that knows what the target will write, because the target has written it before, and
 * spoils the tokens that it is told to. What llama-server has as `--spec-synth-*`.
 *
 * Whether a token is spoilt depends on its place in the text and on nothing else: a chain is looked at up to its first wrong token and the next
 * one begins behind that, so no place is drawn twice, the law is that of fresh draws, and ways to choose lengths can be compared on the very
 * same luck. The texts must be the target's own (greedy, or the same seed), or acceptance is lower than what is set.
 */
import { uniform } from '../../../gpu-worker/core/sampling/noise.ts'
import type { Proposal, ProposalRequest } from '../../../gpu-worker/core/speculation/proposer.ts'
import { chainOf } from '../../../gpu-worker/core/speculation/tokenTree.ts'
import type { Proposer } from '../../../gpu-worker/proposer.ts'

/** Is the token at `position` of this text proposed as it is? */
export type IsRight = (text: number, position: number) => boolean

export interface OracleOptions {
  /** Whole texts: prompt and answer, as tokens. */
  readonly texts: readonly (readonly number[])[]
  readonly isRight: IsRight
  /** What it says of each of its tokens. */
  readonly confidence: number
  readonly vocabularySize: number
  /** Returns after what drafting so many tokens for so many sequences is to take; absent: free. */
  readonly spend?: (round: { readonly sequences: number; readonly depth: number }) => void
}

export function createOracleProposer(options: OracleOptions): Proposer {
  return new OracleProposer(options)
}

/** Each token is right with the same chance, independently. */
export function rightAtRate(rate: number, seed: number): IsRight {
  return (text, position) => uniform(seed, position, text) < rate
}

/**
 * Tokens that a step gains in the mean where always `length` of them are drafted: from the second token of each answer on, until so many
 * tokens are written in all. The luck of these very texts, not the mean of all luck.
 */
export function tokensPerStep(
  draws: { readonly isRight: IsRight; readonly texts: number; readonly start: number; readonly tokens: number },
  length: number,
): number {
  const { isRight, texts, start, tokens } = draws
  const ends = Array<number>(texts).fill(start)
  let written = 0
  let steps = 0
  while (written < tokens) {
    for (const [text, end] of ends.entries()) {
      let accepted = 0
      while (accepted < length && isRight(text, end + accepted)) accepted += 1
      ends[text] = end + accepted + 1
      written += accepted + 1
    }
    steps += texts
  }
  return written / steps
}

class OracleProposer implements Proposer {
  readonly method = 'simulated'
  readonly #options: OracleOptions
  /** The text that each sequence is writing, found once; -1: none of them. */
  readonly #texts = new Map<number, number>()

  constructor(options: OracleOptions) {
    this.#options = options
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] {
    const proposals = requests.map((request) => this.#proposalFor(request))
    const depth = Math.max(0, ...proposals.map(({ tree }) => tree.tokens.length))
    if (depth > 0) this.#options.spend?.({ sequences: requests.length, depth })
    return proposals
  }

  forget(key: number): void {
    this.#texts.delete(key)
  }

  #proposalFor({ key, tokens, tokensMax }: ProposalRequest): Proposal {
    const { texts, isRight, confidence, vocabularySize } = this.#options
    const text = this.#textOf(key, tokens)
    const coming = texts[text]?.slice(tokens.length, tokens.length + tokensMax) ?? []
    const drafted = coming.map((token, i) => (isRight(text, tokens.length + i) ? token : (token + 1) % vocabularySize))
    return { key, method: this.method, tree: chainOf(drafted), confidence: drafted.map(() => confidence) }
  }

  #textOf(key: number, tokens: readonly number[]): number {
    const known = this.#texts.get(key)
    if (known !== undefined) return known
    const text = this.#options.texts.findIndex((candidate) => tokens.every((token, i) => token === candidate[i]))
    this.#texts.set(key, text)
    return text
  }
}
