/**
 * One deployment's answer to a request, held back: asked for as an inner request, and known as soon as there is enough of it. Whoever asked
 * gives it out (`held.release`) or ends it (`handle.cancel`).
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Clock } from '#runtime/clock.ts'
import { type AnsweredQuestion, questionOf } from './core/judgement.ts'
import { HeldAnswer } from './heldAnswer.ts'
import type { InnerRequests } from './innerRequests.ts'
import type { ParsedRequest } from './openai/route.ts'
import type { RequestHandle } from './request.ts'
import type { Understood } from './staged.ts'

/** `whole`: once it has ended. `first-tokens`: once each choice has so many. `as-it-comes`: as the client asked for it, judged by nobody. */
export type EnoughOf =
  | { readonly kind: 'whole' }
  | { readonly kind: 'first-tokens'; readonly tokens: number }
  | { readonly kind: 'as-it-comes' }

export interface StepAnswer {
  readonly model: ModelRecord
  readonly understood: Understood
  readonly held: HeldAnswer
  readonly handle: RequestHandle
  /** Of each choice, as far as it was known when there was enough of it. */
  readonly texts: readonly string[]
  readonly answerMs: number
  /** What the deployment's SLO allows it for that. */
  readonly allowedMs: number
}

export interface StepQuestion {
  readonly model: ModelRecord
  readonly understood: Understood
  readonly enough: EnoughOf
  /** What another deployment has said; null: nobody was asked before. */
  readonly before: StepAnswer | null
}

/** Never rejects. Of a client that has left the failure is `cancelled`. */
export async function askStep(
  { inner, clock }: { readonly inner: InnerRequests; readonly clock: Clock },
  { model, understood, enough, before }: StepQuestion,
): Promise<StepAnswer | Failure> {
  const { parsed } = understood
  const { works, choices, sampling } = parsed
  const startedAt = clock.now()
  const { streaming, tokens } = waysOf(enough, parsed)
  const held = new HeldAnswer({ choices: works.length * choices, tokens })
  const hints = before === null ? {} : { hints: hintsOf(before.texts, works.length) }
  // What is judged, or fails, has a judge and a step after it.
  const patience = enough.kind === 'as-it-comes' ? {} : { patienceMs: inner.patienceMs }
  const handle = inner.stream({ model, works, choices, sampling, streaming, ...hints, ...patience }, held)
  const judgeable = await held.judgeable
  switch (judgeable.kind) {
    case 'text': {
      const allowedMs = model.slo.ttftMs + (model.slo.tpotMs * judgeable.tokens) / held.choices
      return { model, understood, held, handle, texts: judgeable.texts, answerMs: clock.now() - startedAt, allowedMs }
    }
    case 'failed':
      handle.cancel()
      return judgeable.failure
    case 'cancelled':
      return new Failure('cancelled', 'the client left')
    default:
      return judgeable satisfies never
  }
}

/** As a judge is shown them; null where one of the prompts cannot be shown. */
export function answeredQuestions({ understood, texts }: StepAnswer): AnsweredQuestion[] | null {
  const { works, choices } = understood.parsed
  const questions = works.map(questionOf)
  const answered = texts.flatMap((answer, i) => {
    const question = questions[Math.floor(i / choices)] ?? null
    return question === null ? [] : [{ question, answer }]
  })
  return answered.length === texts.length ? answered : null
}

function waysOf(enough: EnoughOf, { streaming }: ParsedRequest): { streaming: boolean; tokens: number | null } {
  switch (enough.kind) {
    case 'whole':
      return { streaming: false, tokens: null }
    case 'first-tokens':
      return { streaming: true, tokens: enough.tokens }
    case 'as-it-comes':
      // The first text of a stream, whichever choice it is of; else there is nothing to see before the end.
      return { streaming, tokens: streaming ? 0 : null }
    default:
      return enough satisfies never
  }
}

/** Of each work, its first choice. */
function hintsOf(texts: readonly string[], works: number): string[] {
  const perWork = texts.length / works
  return Array.from({ length: works }, (_, i) => (texts[i * perWork] ?? '').slice(0, limits.request.hintCharactersMax))
}
