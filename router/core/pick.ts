/**
 * Which worker gets a request: filter (live, not excluded, a slot free) → weigh (predicted time) → pick.
 *
 * The cost of a worker is the predicted time to the first token (what waits there, and what of the prompt it does not hold) plus
 * `tailTokens` steps at the load the request would meet, by the worker's own cost curve. So a held prefix is worth exactly the prompt
 * time it saves, and an idle worker wins where prompts are short. The cheapest wins, and whoever is hardly dearer counts as cheapest.
 *
 * Where nobody holds any of the prompt, requests that begin alike should still meet, so that one worker computes what they share: they
 * go to the same worker while it is not busier than (1 + `loadSlack`) times the mean (consistent hashing with bounded loads, Mirrokni
 * et al. 2018), its load being the predicted time and not a count, and while that costs none of them more than `meetingShare` of that
 * beginning: most beginnings are met by nobody, and with the first bound alone those wait (measured: 1.3 times as long). Among workers that are as good the request's own weight for each
 * decides (`algorithms/rendezvous.ts`). No chance and no clock: the same reports give the same pick in every router.
 */
import { type CostCurve, predictStepMs } from '#algorithms/costCurve.ts'
import { weightOf } from '#algorithms/rendezvous.ts'
import type { WorkerId } from '#contracts/ids.ts'
import type { Need, Prefix } from './prompt.ts'
import { freeSlots, loadOf, promptTokensPending, type Worker } from './workers.ts'

export interface Weighed {
  readonly worker: Worker
  /** Of the prompt, what it need not compute. */
  readonly heldTokens: number
  /** Predicted time to the first token. */
  readonly firstTokenMs: number
  readonly costMs: number
  /** Of the request's key for this worker; the highest wins among those within the bound. */
  readonly weight: number
}

/**
 * `only`: nobody else could take it. `held`: it holds part of the prompt. `meeting`: nobody does, and this is where requests that begin
 * like this one meet. `cheapest`: the least time, because nothing of the prompt is worth keeping or its holder would take longer.
 * `expert`: among workers with experts the least time, whatever must be attached or loaded for it included.
 */
export type PickCause = 'only' | 'held' | 'meeting' | 'cheapest' | 'expert'

export interface Picked extends Weighed {
  readonly cause: PickCause
  /** Whoever cost more could not be picked. */
  readonly boundMs: number
}

export type PickRule = (eligible: readonly Worker[], need: Need) => Picked | null

const tailTokens = 32
const promptTokensPerSecondGuess = 1_000
const stepMsGuess = 10
const rowMsGuess = 1
/** Predictions are no better than this, and routers that all see the same cheapest worker must not all send there. */
const tieSlack = 0.02
/** ε of the bound: 0.25 is what the paper's authors use. */
const loadSlack = 0.25
const meetingShare = 0.1

/** Workers that may get a request now. `isLive` is asked last: it is the dearest. */
export function candidates(
  workers: readonly Worker[],
  options: { excluded: readonly WorkerId[]; now: number; isLive: (worker: Worker) => boolean },
): Worker[] {
  return workers.filter(
    (worker) =>
      freeSlots(worker) > 0 &&
      worker.pausedUntil <= options.now &&
      !options.excluded.includes(worker.id) &&
      options.isLive(worker),
  )
}

export const pick: PickRule = (eligible, need) =>
  choose(
    eligible.map((worker) => weigh(worker, need)),
    need,
  )

/** As `pick`, of those that were weighed already. */
export function choose(weighed: readonly Weighed[], need: Need): Picked | null {
  const isHeld = weighed.some(({ heldTokens }) => heldTokens > 0)
  const meets = !isHeld && need.prefixes.length > 0
  const boundMs = boundOf(weighed, meets ? (need.prefixes[0]?.tokens ?? 0) : 0)
  let best: Weighed | null = null
  for (const each of weighed) if (each.costMs <= boundMs && (best === null || goesBefore(each, best))) best = each
  if (best === null) return null
  return { ...best, boundMs, cause: causeOf() }

  function causeOf(): PickCause {
    if (weighed.length === 1) return 'only'
    if (meets) return 'meeting'
    return best !== null && best.heldTokens > 0 ? 'held' : 'cheapest'
  }
}

export function weigh(worker: Worker, need: Need): Weighed {
  const { curve } = worker
  const heldTokens = heldTokensOf(worker, need.prefixes)
  const firstTokenMs = (promptTokensPending(worker) + need.promptTokens - heldTokens) * promptTokenMs(worker)
  const costMs = firstTokenMs + tailTokens * stepMs(curve, loadOf(worker) + 1)
  return { worker, heldTokens, firstTokenMs, costMs, weight: weightOf(need.key, worker.seat) }
}

/** Of the longest prefix whose state the worker has, as far as is known here. */
export function heldTokensOf(worker: Worker, prefixes: readonly Prefix[]): number {
  if (worker.prefixes.size === 0) return 0
  for (let i = prefixes.length - 1; i >= 0; i--) {
    const prefix = prefixes[i]
    if (prefix !== undefined && worker.prefixes.has(prefix.digest)) return prefix.tokens
  }
  return 0
}

/** `meetTokens`: of the beginning that may be shared; 0 where nobody is to meet. */
function boundOf(weighed: readonly Weighed[], meetTokens: number): number {
  let least = Number.POSITIVE_INFINITY
  let sum = 0
  let tokenMs = Number.POSITIVE_INFINITY
  for (const { worker, costMs } of weighed) {
    least = Math.min(least, costMs)
    sum += costMs
    tokenMs = Math.min(tokenMs, promptTokenMs(worker))
  }
  const tied = least * (1 + tieSlack)
  const mean = sum / weighed.length
  return Math.max(tied, Math.min(mean * (1 + loadSlack), least + meetingShare * meetTokens * tokenMs))
}

/** Equal weights do not happen, but must not depend on the order of a list if they do. */
function goesBefore(a: Weighed, b: Weighed): boolean {
  return a.weight > b.weight || (a.weight === b.weight && a.worker.id < b.worker.id)
}

function promptTokenMs({ curve }: Worker): number {
  return 1_000 / (curve?.promptTokensPerSecond ?? promptTokensPerSecondGuess)
}

/** One decode step with `rows` sequences, at the curve's shortest context: the same error for every worker of a deployment. */
function stepMs(curve: CostCurve | null, rows: number): number {
  return curve === null ? stepMsGuess + rowMsGuess * rows : predictStepMs(curve, { rows, contextTokens: 0 })
}
