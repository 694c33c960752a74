/**
 * Which worker gets a request: filter (live, not excluded, a slot free) → score (predicted time) → pick (smallest).
 *
 * The score is the predicted time to the first token plus `tailTokens` further steps at the load the request would meet, so that a
 * held prefix is worth exactly the prompt time it saves, and an idle worker wins where prompts are short. Everything comes from
 * the worker's own report (`costCurve`); where it has none, constants that only keep the order sensible.
 */
import { type CostCurve, predictStepMs } from '#algorithms/costCurve.ts'
import type { WorkerId } from '#contracts/ids.ts'
import type { Work } from '#contracts/messages.ts'
import { freeSlots, loadOf, type Worker } from './workers.ts'

export interface Need {
  readonly promptTokens: number
  /** Longest prefix last; share of the prompt that each covers. Empty where it is not worth knowing. */
  readonly prefixes: readonly HeldPrefix[]
  readonly excluded: readonly WorkerId[]
}

export interface HeldPrefix {
  readonly digest: string
  readonly share: number
}

const tailTokens = 32
const promptTokensPerSecondGuess = 1_000
const stepMsGuess = 10
const rowMsGuess = 1

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

/** `tieBreak`, 0 ≤ x < 1, decides between equals, so that several routers do not all choose the same one. */
export function pick(eligible: readonly Worker[], need: Need, tieBreak: number): Worker | null {
  if (eligible.length <= 1) return eligible[0] ?? null
  let best: Worker[] = []
  let bestScore = Number.POSITIVE_INFINITY
  for (const worker of eligible) {
    const score = predictedMs(worker, need)
    if (score > bestScore) continue
    if (score === bestScore) best.push(worker)
    else best = [worker]
    bestScore = score
  }
  return best[Math.floor(tieBreak * best.length)] ?? null
}

/** Time to the first token plus a tail of steps, in milliseconds. */
export function predictedMs(worker: Worker, need: Need): number {
  const { curve } = worker
  const pending = worker.report?.promptTokensPending ?? 0
  const toCompute = need.promptTokens * (1 - heldShare(worker, need.prefixes))
  const promptMs = ((pending + toCompute) * 1_000) / (curve?.promptTokensPerSecond ?? promptTokensPerSecondGuess)
  return promptMs + tailTokens * stepMs(curve, loadOf(worker) + 1)
}

/** Share of the prompt whose state the worker holds. */
export function heldShare(worker: Worker, prefixes: readonly HeldPrefix[]): number {
  if (worker.prefixes.size === 0) return 0
  for (let i = prefixes.length - 1; i >= 0; i--) {
    const prefix = prefixes[i]
    if (prefix !== undefined && worker.prefixes.has(prefix.digest)) return prefix.share
  }
  return 0
}

/** One decode step with `rows` sequences, at the curve's shortest context: the same error for every worker of a deployment. */
function stepMs(curve: CostCurve | null, rows: number): number {
  return curve === null ? stepMsGuess + rowMsGuess * rows : predictStepMs(curve, { rows, contextTokens: 0 })
}

/** Characters (or tokens) of each prefix that `prefixDigests` numbers, as a share of the whole prompt. */
export function withShares(
  work: Work,
  digests: readonly string[],
  blocks: { text: number; tokens: number },
): HeldPrefix[] {
  const total = sizeOf(work)
  if (total === 0) return []
  let covered = 0
  return digests.map((digest, i) => {
    covered += segmentSize(work, i, blocks)
    return { digest, share: Math.min(1, covered / total) }
  })
}

function segmentSize(work: Work, index: number, blocks: { text: number; tokens: number }): number {
  switch (work.kind) {
    case 'chat':
      return work.messages[index]?.content.length ?? 0
    case 'completion':
      return typeof work.prompt === 'string' ? blocks.text : blocks.tokens
    case 'embedding':
      return 0
    default:
      return work satisfies never
  }
}

/** Characters, or tokens where the client gave tokens. */
export function sizeOf(work: Work): number {
  switch (work.kind) {
    case 'chat':
      return work.messages.reduce((sum, message) => sum + message.content.length, 0)
    case 'completion':
      return work.prompt.length
    case 'embedding':
      return work.inputs.reduce((sum, input) => sum + input.length, 0)
    default:
      return work satisfies never
  }
}

const charactersPerToken = 4

/** Before anybody has tokenised it: about four characters a token. */
export function estimatedTokens(work: Work): number {
  if (work.kind === 'completion' && typeof work.prompt !== 'string') return work.prompt.length
  return Math.ceil(sizeOf(work) / charactersPerToken) + 1
}
