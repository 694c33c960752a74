/**
 * What the next step computes: pure decisions over a view of the slots.
 *
 * `planSpans`: every running sequence gets its one token, prompts share what is left of the step, and drafts may fill the rest. While anything runs, prompts get at most `promptChunkTokensMax` tokens together, so that no running stream waits longer
 * than one chunk; while nothing runs, a whole micro-batch. The oldest prompt gets half (it always moves on), the shortest remaining
 * ones the rest (a short question does not wait behind a long document).
 *
 * `planMoves`: in the split layout one micro-batch takes consecutive sequence ids with equal token counts, and each gap costs
 * another pass over all weights (measured 1.5 to 1.8 times the step). A finished sequence therefore leaves its hole to the next
 * waiting request, and where none waits another sequence moves into it, if copying its state costs less than the steps that it
 * saves.
 */
import assert from 'node:assert/strict'
import type { Slot } from '../modelRunner.ts'

/** A sequence that holds a slot. */
export interface SlotView {
  readonly slot: Slot
  /** Order of arrival. */
  readonly number: number
  readonly computed: number
  /** Tokens known; `length - computed` of them are to be computed. */
  readonly length: number
}

export interface SpanPlan {
  readonly slot: Slot
  readonly position: number
  /** Known tokens to compute in this step. */
  readonly count: number
  /** Does the last known token's row choose a new one? */
  readonly samples: boolean
}

export interface SpanLimits {
  readonly batchTokensMax: number
  /** Prompt tokens of a step while something runs. */
  readonly chunkTokensMax: number
  /** Prompt tokens of a step while nothing runs. */
  readonly idleChunkTokensMax: number
  /** No pass over the weights may hold one row of a prompt alone. */
  readonly evenChunks?: boolean
}

export function planSpans(views: readonly SlotView[], limits: SpanLimits): SpanPlan[] {
  const running = views.filter((view) => view.length - view.computed === 1)
  const prompts = views.filter((view) => view.length - view.computed > 1)
  const room = limits.batchTokensMax - running.length
  assert(room >= 0, `${running.length} rows in a batch of ${limits.batchTokensMax}`)
  const budget = Math.min(room, running.length > 0 ? limits.chunkTokensMax : limits.idleChunkTokensMax)
  const shares = limits.evenChunks === true ? evened(sharePrompts(prompts, budget)) : sharePrompts(prompts, budget)
  const spans = running.map((view) => ({ slot: view.slot, position: view.computed, count: 1, samples: true }))
  for (const [view, count] of shares)
    spans.push({
      slot: view.slot,
      position: view.computed,
      count,
      samples: view.computed + count === view.length,
    })
  return spans.sort((a, b) => a.slot - b.slot)
}

function sharePrompts(prompts: readonly SlotView[], budget: number): Map<SlotView, number> {
  const shares = new Map<SlotView, number>()
  const oldest = prompts.reduce<SlotView | null>((a, b) => (a === null || b.number < a.number ? b : a), null)
  if (oldest === null || budget <= 0) return shares
  let left = budget
  const give = (view: SlotView, tokensMax: number) => {
    const had = shares.get(view) ?? 0
    const tokens = Math.min(view.length - view.computed - had, tokensMax, left)
    if (tokens <= 0) return
    shares.set(view, had + tokens)
    left -= tokens
  }
  give(oldest, Math.ceil(budget / 2))
  const others = prompts.filter((view) => view !== oldest)
  others.sort((a, b) => a.length - a.computed - (b.length - b.computed) || a.number - b.number)
  for (const view of others) give(view, left)
  give(oldest, left)
  return shares
}

/** A pass takes as many tokens of each sequence as the shortest has left: all get the same, or one, so that no one is left over. */
function evened(shares: ReadonlyMap<SlotView, number>): Map<SlotView, number> {
  const long = [...shares.values()].filter((count) => count > 2)
  const even = Math.min(...long)
  return new Map([...shares].map(([view, count]) => [view, count > 2 ? even : 1]))
}

/** Which sequence loses its cells when the cache has no room: the youngest, because it has the least to lose. */
export function chooseVictim(views: readonly SlotView[]): Slot | null {
  if (views.length < 2) return null
  return views.reduce((a, b) => (b.number > a.number ? b : a)).slot
}

export interface Move {
  readonly from: Slot
  readonly to: Slot
}

export interface MoveCosts {
  /** One step of so many rows. */
  stepMs(rows: number): number
  /** Copying the state of so many cells out and in again. */
  copyMs(cells: number): number
}

/** How many of the coming steps a move may count on: sequences end without notice. */
export const moveHorizonSteps = 16

/**
 * The next move towards consecutive ids, or null. The caller has already given holes to waiting requests. One move per step keeps
 * the pause short; the next step plans the next one. Sequences outside of the fullest window of ids move into its holes,
 * cheapest first, if all of them together cost less than the coming steps save.
 */
export function planMove(views: readonly SlotView[], costs: MoveCosts): Move | null {
  const taken = new Set(views.map((view) => view.slot))
  const slots = [...taken].sort((a, b) => a - b)
  const before = passesMs(slots, costs)
  const after = costs.stepMs(views.length)
  if (views.length < 2 || before <= after) return null
  const start = fullestWindow(slots)
  const isOutside = (slot: Slot) => slot < start || slot >= start + views.length
  const outside = views.filter((view) => isOutside(view.slot)).sort((a, b) => a.computed - b.computed)
  const copyMs = outside.reduce((sum, view) => sum + costs.copyMs(view.computed), 0)
  const [cheapest] = outside
  if (cheapest === undefined || (before - after) * moveHorizonSteps <= copyMs) return null
  let hole = start
  while (taken.has(hole)) hole += 1
  return { from: cheapest.slot, to: hole }
}

/** Where the window of as many ids as there are sequences starts that holds most of them; the lowest where several do. */
function fullestWindow(slots: readonly Slot[]): Slot {
  const width = slots.length
  const countFrom = (start: Slot) => slots.filter((slot) => slot >= start && slot < start + width).length
  // A fullest window can always be shifted to start at a taken id, or, to keep it inside the slots, at one that ends at the last.
  const starts = slots.map((slot) => Math.min(slot, Math.max(0, (slots.at(-1) ?? 0) - width + 1)))
  return starts.reduce((best, start) => (countFrom(start) > countFrom(best) ? start : best), starts[0] ?? 0)
}

/** One pass over the weights for each run of consecutive ids. */
function passesMs(sorted: readonly Slot[], costs: MoveCosts): number {
  let ms = 0
  let rows = 0
  for (const [i, slot] of sorted.entries()) {
    rows += 1
    if (sorted[i + 1] === slot + 1) continue
    ms += costs.stepMs(rows)
    rows = 0
  }
  return ms
}
