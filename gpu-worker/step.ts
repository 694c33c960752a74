/**
 * One step of the engine as a value: what each sequence brings to it, as the runner and as the cost curve see it. Pure.
 */
import type { SpanPlan } from './core/scheduler.ts'
import { isChain, type TokenTree } from './core/speculation/tokenTree.ts'
import type { Choice } from './job.ts'
import type { BatchSpan } from './modelRunner.ts'

export interface Span extends SpanPlan {
  readonly choice: Choice
  /** Verified behind the sequence's last token; empty for none. */
  readonly draft: TokenTree
}

export function batchSpan({ position, count, slot, choice, draft, samples }: Span): BatchSpan {
  const known = choice.sequence.tokens.slice(position, position + count)
  const drafted = draft.tokens.length
  return {
    slot,
    position,
    tokens: drafted === 0 ? known : [...known, ...draft.tokens],
    logitsForLast: samples ? 1 + drafted : 0,
    ...(isChain(draft) ? {} : { parents: draft.parents }),
  }
}

export interface StepShape {
  /** Rows that generate, drafts included. */
  readonly rows: number
  readonly promptTokens: number
  /** Mean. */
  readonly contextTokens: number
  /** Equal numbers of rows: what the split layout computes in one pass. */
  readonly isEven: boolean
}

export function shapeOf(step: readonly Span[]): StepShape {
  let rows = 0
  let promptTokens = 0
  let cells = 0
  for (const { count, position, draft } of step) {
    if (count === 1) rows += 1 + draft.tokens.length
    else promptTokens += count
    cells += position + count
  }
  const running = step.filter(({ count }) => count === 1)
  const isEven = running.every(({ draft }) => draft.tokens.length === running[0]?.draft.tokens.length)
  return { rows, promptTokens, contextTokens: cells / step.length, isEven }
}
