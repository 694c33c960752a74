/**
 * What a request's spans say: one request, and beneath it the decision where it goes, its wait in the queue, and each attempt at a worker
 * with the worker's own times. The only file that knows the attributes' names.
 *
 * Names of OpenTelemetry where there is one (HTTP, GenAI: status Development), else our own under `paceline.`. Never a prompt, an answer, a
 * key or the value of a session key. Nothing here is called for a request that is not traced.
 */
import type { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { RequestEvent, Usage, Work } from '#contracts/messages.ts'
import type { TraceContext } from '#runtime/traceContext.ts'
import type { Attributes, Span, Tracer } from '#runtime/tracing.ts'
import type { Picked } from './core/pick.ts'
import { shareOf, type StepRecord } from './core/route.ts'
import type { Job, RequestOutcome } from './request.ts'
import type { Decided } from './routing.ts'

const provider = 'paceline'

export interface RequestBegan {
  readonly id: string
  readonly endpoint: string
  readonly at: number
}

/** Null: it asks nothing of a model, or its trace is not sampled. */
export function beginRequest(tracer: Tracer, parent: TraceContext | null, began: RequestBegan): Span | null {
  const asked = endpoints[began.endpoint]
  if (asked === undefined) return null
  const attributes = {
    'http.request.method': 'POST',
    'http.route': asked.path,
    'gen_ai.operation.name': asked.operation,
    'gen_ai.provider.name': provider,
    'paceline.request.id': began.id,
  }
  return tracer.begin(parent, { name: `POST ${asked.path}`, kind: 'server', at: began.at, attributes })
}

const endpoints: Readonly<Record<string, { readonly operation: string; readonly path: string }>> = {
  'chat.completions': { operation: 'chat', path: '/v1/chat/completions' },
  completions: { operation: 'text_completion', path: '/v1/completions' },
  embeddings: { operation: 'embeddings', path: '/v1/embeddings' },
}

export interface RequestEnded {
  readonly status: number
  /** The outcome's tag: `completed`, `refused`, … */
  readonly outcome: string
  /** The deployment that answered. */
  readonly model: string
  readonly at: number
}

export function endRequest(span: Span, { status, outcome, model, at }: RequestEnded): void {
  span.set({
    'http.response.status_code': status,
    'gen_ai.response.model': model,
    'paceline.outcome': outcome,
    ...(status < 500 ? {} : { 'error.type': outcome }),
  })
  if (status >= 500) span.fail(outcome)
  span.end(at)
}

/** The decision's record, as it is in the log. */
export function decisionSpan(parent: Span, { decision, tookMs, expert }: Decided, at: number): void {
  const { route, strategy, deployment, cause, session, threshold, candidates, steps = [] } = decision
  const listed = candidates.slice(0, limits.tracing.listedMax)
  const attributes = {
    'paceline.route': route ?? undefined,
    'paceline.route.strategy': strategy,
    'paceline.route.deployment': deployment ?? undefined,
    'paceline.route.cause': cause,
    'paceline.route.session': session,
    'paceline.route.share': shareOf(decision),
    'paceline.route.threshold': threshold ?? undefined,
    'paceline.route.candidates': listed.map((candidate) => candidate.deployment),
    'paceline.route.scores': listed.map(({ score }) => score),
    'paceline.route.standings': listed.map(({ standing }) => standing),
    'paceline.route.steps': steps.slice(0, limits.tracing.listedMax).map(stepText),
    'paceline.route.expert': expert?.kind === 'named' ? expert.expert : undefined,
    'paceline.route.decision_ms': tookMs,
  }
  // Of several steps the time is mostly that of the answers they asked for, which have spans of their own.
  parent.child({ name: 'route', at: at - tookMs, attributes }).end(at)
}

const stepText = ({ deployment, action, cause, score, threshold }: StepRecord): string =>
  `${deployment} ${action} ${cause} score=${score ?? '-'} threshold=${threshold ?? '-'}`

/** A request that the router makes itself for a client's. */
export function innerSpan(parent: Span | null, deployment: string, at: number): Span | null {
  if (parent === null) return null
  return parent.child({ name: `ask ${deployment}`, at, attributes: { 'paceline.deployment': deployment } })
}

export function endInner(span: Span, outcome: RequestOutcome, at: number): void {
  if (outcome.kind === 'failed') failed(span, outcome.failure)
  span.end(at)
}

export function queueSpan(parent: Span, job: Job, at: number): void {
  const attributes = { 'paceline.deployment': job.request.routed.model.deployment, 'paceline.tenant': job.tenant }
  parent.child({ name: 'queue', at: job.waitingSince, attributes }).end(at)
}

/** One dispatch to one worker. */
export function attemptSpan(parent: Span, attempt: { job: Job; picked: Picked; at: number }): Span {
  const { job, picked, at } = attempt
  const { worker, cause, heldTokens, firstTokenMs } = picked
  const { model, sampling } = job.request.routed
  const operation = operationOf(job.work)
  const attributes: Attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model.deployment,
    'gen_ai.request.choice.count': job.choices === 1 ? undefined : job.choices,
    'gen_ai.request.seed': job.seed,
    'gen_ai.request.max_tokens': sampling.maxTokens ?? undefined,
    'gen_ai.request.temperature': sampling.temperature,
    'gen_ai.request.top_p': sampling.topP,
    'paceline.worker': worker.id,
    'paceline.expert': job.expert ?? undefined,
    'paceline.pick.cause': cause,
    'paceline.pick.held_tokens': heldTokens,
    'paceline.pick.first_token_ms': firstTokenMs,
  }
  return parent.child({ name: `${operation} ${model.deployment}`, kind: 'client', at, attributes })
}

function operationOf({ kind }: Work): string {
  switch (kind) {
    case 'chat':
      return 'chat'
    case 'completion':
      return 'text_completion'
    case 'embedding':
      return 'embeddings'
    default:
      return kind satisfies never
  }
}

/** The worker has said how it went. */
export function endAttempt(span: Span, event: Extract<RequestEvent, { kind: 'final' | 'refused' }>, at: number): void {
  if (event.kind === 'refused') failed(span, event.failure)
  else if (event.outcome.kind === 'failed') failed(span, event.outcome.failure)
  else {
    workerSpans(span, event.outcome.usage, at)
    const reasons = event.choices.flatMap(({ finish }) => finish ?? [])
    span.set({ ...usageAttributes(event.outcome.usage), 'gen_ai.response.finish_reasons': reasons })
  }
  span.end(at)
}

/** The router gave it up, or its worker is gone. */
export function giveUpAttempt(span: Span, reason: string, at: number): void {
  span.set({ 'error.type': reason })
  span.fail(reason)
  span.end(at)
}

function failed(span: Span, { code, message }: Pick<Failure, 'code' | 'message'>): void {
  span.set({ 'error.type': code })
  span.fail(message)
}

/** What the worker measured on its own clock, set back from the end: no two machines' clocks are compared. */
function workerSpans(
  span: Span,
  { waitMs, promptMs, generationMs, cachedTokens, promptTokens }: Usage,
  at: number,
): void {
  const generatedFrom = at - generationMs
  const promptFrom = generatedFrom - promptMs
  span.child({ name: 'wait', at: promptFrom - waitMs }).end(promptFrom)
  const prompt = { 'gen_ai.usage.input_tokens': promptTokens, 'gen_ai.usage.cache_read.input_tokens': cachedTokens }
  span.child({ name: 'prompt', at: promptFrom, attributes: prompt }).end(generatedFrom)
  span.child({ name: 'generate', at: generatedFrom }).end(at)
}

function usageAttributes(usage: Usage): Attributes {
  return {
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
    'gen_ai.usage.cache_read.input_tokens': usage.cachedTokens,
    'paceline.speculation.draft_tokens': usage.draftTokens,
    'paceline.speculation.accepted_tokens': usage.acceptedTokens,
  }
}
