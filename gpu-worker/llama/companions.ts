/**
 * Rows that keep another row company. llama.cpp multiplies the floating-point matrices of an adapter by another kernel where a pass holds
 * one row, and adds up in another order there: the same token then has slightly other logits alone than beside others (measured; the
 * quantised weights of a model have one order always). Where results must not depend on company, no pass may hold one row.
 *
 * In the split layout a pass holds consecutive sequences. So free slots between those that compute get a token each, and a lone row gets
 * one beside it; `core/scheduler.ts` sees to it that prompts leave no lone row behind. The caller takes those tokens back. Pure.
 */
import type { BatchSpan, Slot } from '../modelRunner.ts'

export interface CompanyOptions {
  readonly slots: number
  readonly contextTokensMax: number
  /** Cells that a slot holds. */
  readonly cellsOf: (slot: Slot) => number
}

/** What to decode beside `spans`, whose slots ascend. */
export function companionsOf(spans: readonly BatchSpan[], options: CompanyOptions): BatchSpan[] {
  const [first] = spans
  const last = spans.at(-1)
  if (first === undefined || last === undefined) return []
  const taken = new Set(spans.map(({ slot }) => slot))
  const isFree = (slot: Slot) =>
    slot >= 0 && slot < options.slots && !taken.has(slot) && options.cellsOf(slot) < options.contextTokensMax
  const companion = (slot: Slot): BatchSpan => ({
    slot,
    position: options.cellsOf(slot),
    tokens: [anyToken],
    logitsForLast: 0,
  })
  if (spans.length === 1)
    return first.tokens.length > 1 ? [] : [first.slot + 1, first.slot - 1].filter(isFree).slice(0, 1).map(companion)
  const between = Array.from({ length: last.slot - first.slot }, (_, i) => first.slot + i)
  return between.filter(isFree).map(companion)
}

const anyToken = 0
