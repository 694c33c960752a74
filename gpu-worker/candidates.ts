/** Who may draft in a step, and what of a draft can become text. Pure. */
import { generatedCount } from './core/sequence.ts'
import { nodesToDepth } from './core/speculation/tokenTree.ts'
import type { Choice, GenerateRequest } from './job.ts'
import type { Candidate } from './speculator.ts'
import type { Span } from './step.ts'
import { drawingOf } from './verification.ts'

export interface DraftLimits {
  readonly contextTokensMax: number
  /** As `Verification.lawsPay`. */
  readonly lawsPay: boolean
}

/** A sequence at its end drafts on only to keep the batch even: what lies beyond the end is not its request's to account for. */
export function draftsThatCouldBeText({ choice, draft }: Span): number {
  const { sequence, job } = choice
  const left = job.request.tokensMax - generatedCount(sequence)
  return nodesToDepth(draft, left)
}

export function candidateOf(choice: Choice, { contextTokensMax, lawsPay }: DraftLimits): Candidate {
  const { sequence, job } = choice
  const room = contextTokensMax - sequence.tokens.length
  const gainMax = job.request.tokensMax - generatedCount(sequence) - 1
  return {
    key: sequence.number,
    tokens: sequence.tokens,
    room,
    gainMax,
    drawing: drawingOf(choice, lawsPay),
    ...hintFor(job.request),
  }
}

function hintFor({ prompt, hint }: GenerateRequest): Pick<Candidate, 'hint'> {
  return hint === undefined ? {} : { hint: { tokens: hint, after: prompt.length } }
}
