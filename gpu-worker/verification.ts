/**
 * Judges what was drafted for one sequence, once the rows of its step are there: which drafts become text, and what follows them.
 *
 * The verifier in use is the coupled one (`core/speculation/verifiers/oneSample.ts`): at each node the sequence chooses its token as if
 * nothing had been drafted, and goes on as long as a draft has it. So it is lossless, and the text is the same with and without drafts.
 * A row is read at most once, from the root downwards, along the accepted path alone: sampling keeps its state on the way.
 */
import { Failure } from '#contracts/failure.ts'
import { advance } from './core/sequence.ts'
import { root } from './core/speculation/tokenTree.ts'
import { walk } from './core/speculation/verifier.ts'
import type { Span } from './step.ts'

/** The logits after a node of the draft; `root`: after the sequence's own last token. */
export type RowAfter = (node: number) => Float32Array

export interface Judgement {
  /** Drafts that became text, from the root downwards. */
  readonly path: readonly number[]
  /** Tokens of text: these, and the target's own after them, where the sequence did not end with a draft. */
  readonly gained: number
  readonly accepted: number
  /** How deep into the draft was looked: `accepted === judged` says nothing about the depth after it. */
  readonly judged: number
  /** A row could not be sampled; the sequence has what it gained before. */
  readonly failure: Failure | null
}

/** Stands for the token of a sequence that has none: no draft equals it. */
const noToken = -1

export function judge({ choice, draft }: Pick<Span, 'choice' | 'draft'>, rowAfter: RowAfter): Judgement {
  let gained = 0
  let judged = 0
  let failure: Failure | null = null
  const { path } = walk(draft, (node, children) => {
    // It ended with the draft that was just accepted: nobody reads that token's row, and it needs no cell.
    if (choice.finish !== null) return noToken
    if (node !== root) advance(choice.sequence, 1)
    try {
      const token = choice.choose(rowAfter(node))
      gained += 1
      if (children.length > 0) judged += 1
      return token
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      failure = error
      return noToken
    }
  })
  return { path, gained, accepted: path.length, judged, failure }
}
