/**
 * What a request is inside the router, beneath HTTP: the request as routed, the sink that takes its answer, and the jobs it is
 * made of (one dispatch each: one prompt, or a group of its samples, or a group of embedding inputs).
 *
 * Owned by `requests.ts`, which alone changes what stands here, except `Job.attempt`, which `dispatch.ts` sets.
 */
import type { Failure } from '#contracts/failure.ts'
import type { RequestId, TenantId, WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta, Usage, Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Sampling } from '#contracts/sampling.ts'
import type { Span } from '#runtime/tracing.ts'
import type { Waiting } from './core/admit.ts'
import type { ExpertWish } from './core/expertWish.ts'
import { estimatedTokens, type Need, needOf } from './core/prompt.ts'
import type { Attempt } from './dispatch.ts'
import type { GateCause } from './gates.ts'

export interface RoutedRequest {
  readonly id: RequestId
  readonly tenant: TenantId
  /** Share in the fair queue, relative to other tenants. */
  readonly weight: number
  readonly priority: number
  readonly model: ModelRecord
  /** One per prompt; more than one only from /v1/completions. */
  readonly works: readonly Work[]
  /** Samples of each work. Choice `work × choices + sample` is the client's index. */
  readonly choices: number
  readonly sampling: Sampling
  /** Absent: none. */
  readonly expert?: ExpertWish
  /** Told who computes it once that is known, for each prompt. */
  readonly onExpert?: (choice: ExpertChoice) => void
  /** Per work: a text that the answer may repeat, such as what another model said. It changes nothing but the pace. */
  readonly hints?: readonly string[]
  /** A streaming request cannot be started again once text was handed to the sink. */
  readonly streaming: boolean
  /** What it occupies while it waits. */
  readonly bytes: number
  /** Time to the first token, counted from `arrivedAt`. */
  readonly deadlineMs: number
  readonly arrivedAt: number
  /** When the whole body was there; for what the router adds itself. */
  readonly readAt?: number
  /** What its spans hang on; absent or null: it is not traced. */
  readonly trace?: Span | null
}

/** Who computes a request, and why that one. `named`: the client said so. */
export interface ExpertChoice {
  /** Null: the model as it is. */
  readonly expert: string | null
  readonly cause: 'named' | GateCause
  /** How sure the gate was; null where it said nothing. */
  readonly probability: number | null
}

export type RequestOutcome =
  | { readonly kind: 'completed'; readonly usage: UsageTotals; readonly embeddings: readonly number[][] }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly failure: Failure }

export interface ResponseSink {
  /** In order and without gaps, per choice. `firstChoice` is added to each index. Never called after `end`. */
  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void
  /** Everything given for these choices is void, they start anew. Never called for a streaming request that was given text. */
  restart(firstChoice: number, choices: number): void
  /** Exactly once, whatever happens; may come before `submit` returns. */
  end(outcome: RequestOutcome): void
}

export interface RequestHandle {
  /** The client left. Ends the request as `cancelled` at once, wherever it is; does nothing once it has ended. */
  cancel(): void
}

export interface UsageTotals {
  promptTokens: number
  completionTokens: number
  cachedTokens: number
  draftTokens: number
  acceptedTokens: number
}

export interface Job extends Waiting {
  readonly request: ActiveRequest
  readonly work: Work
  readonly choices: number
  /** The client's index of choice 0 of this job (of input 0 for embeddings). */
  readonly firstChoice: number
  /** Which prompt: samples of one prompt count its tokens once. */
  readonly prompt: number
  readonly seed: number
  readonly promptTokensEstimate: number
  /** What a pick must know of the prompt; null until somebody asked (`jobNeed`). */
  need: Need | null
  /** Null: the model as it is. Settled before the job is offered to a lane. */
  expert: string | null
  attempt: Attempt | null
  /** What the worker that it was sent to last was thought to hold of its prompt. */
  heldTokens: number
  /** Since when it waits to be sent, or was. */
  waitingSince: number
  retriesLeft: number
  excluded: WorkerId[]
  usage: Usage | null
  embeddings: readonly number[][] | null
}

export interface ActiveRequest {
  readonly routed: RoutedRequest
  readonly sink: ResponseSink
  readonly expiresAt: number
  /** Its number among the active ones; -1 where it never was. */
  slot: number
  jobs: readonly Job[]
  jobsOpen: number
  ended: boolean
  /** When the first dispatch left, the first tokens came, and the first and last text was handed over; null until then. */
  dispatchedAt: number | null
  firstTokenAt: number | null
  firstTextAt: number | null
  lastTextAt: number | null
}

export function activate(routed: RoutedRequest, sink: ResponseSink, slotsMax: number): ActiveRequest {
  const request: ActiveRequest = {
    routed,
    sink,
    expiresAt: routed.arrivedAt + routed.deadlineMs,
    slot: -1,
    jobs: [],
    jobsOpen: 0,
    ended: false,
    dispatchedAt: null,
    firstTokenAt: null,
    firstTextAt: null,
    lastTextAt: null,
  }
  request.jobs = routed.works.flatMap((work, prompt) => jobsOf(request, work, { prompt, slotsMax }))
  request.jobsOpen = request.jobs.length
  return request
}

/** Never more samples in one dispatch than a worker has slots, or it could never be placed. */
function jobsOf(request: ActiveRequest, work: Work, at: { prompt: number; slotsMax: number }): Job[] {
  const { routed } = request
  if (work.kind === 'embedding') return embeddingJobs(request, work.inputs)
  const perJob = Math.max(1, Math.min(routed.choices, at.slotsMax))
  const jobs: Job[] = []
  for (let offset = 0; offset < routed.choices; offset += perJob) {
    const choices = Math.min(perJob, routed.choices - offset)
    const firstChoice = at.prompt * routed.choices + offset
    // Sample i uses seed + i wherever it runs, so splitting changes no text.
    const seed = (routed.sampling.seed + offset) >>> 0
    jobs.push(newJob(request, { work, choices, firstChoice, prompt: at.prompt, seed }))
  }
  return jobs
}

function embeddingJobs(request: ActiveRequest, inputs: readonly (string | number[])[]): Job[] {
  const perJob = limits.request.embeddingInputsPerDispatchMax
  const groups = Array.from({ length: Math.ceil(inputs.length / perJob) }, (_, i) =>
    inputs.slice(i * perJob, (i + 1) * perJob),
  )
  return groups.map((group, i) =>
    newJob(request, {
      work: { kind: 'embedding', inputs: group },
      choices: 1,
      firstChoice: i * perJob,
      prompt: i,
      seed: request.routed.sampling.seed,
    }),
  )
}

function newJob(request: ActiveRequest, part: Pick<Job, 'work' | 'choices' | 'firstChoice' | 'prompt' | 'seed'>): Job {
  const { tenant, weight, priority, bytes, works } = request.routed
  return {
    request,
    ...part,
    tenant,
    weight,
    priority,
    bytes: Math.ceil(bytes / works.length),
    expiresAt: request.expiresAt,
    promptTokensEstimate: estimatedTokens(part.work),
    need: null,
    expert: null,
    attempt: null,
    heldTokens: 0,
    waitingSince: request.routed.arrivedAt,
    retriesLeft: 1,
    excluded: [],
    usage: null,
    embeddings: null,
  }
}

/** Hashing a long prompt costs about 1 ns a character: once, and only where it is asked for. */
export function jobNeed(job: Job): Need {
  const { work, tenant, expert, promptTokensEstimate: promptTokens, request, firstChoice } = job
  const name = `${request.routed.id}/${firstChoice}`
  return (job.need ??= needOf(work, { owner: { tenant, expert }, promptTokens, name }))
}

/** Prompt tokens count once per prompt, completion tokens once per sample. */
export function usageOf(request: ActiveRequest): UsageTotals {
  const totals = { promptTokens: 0, completionTokens: 0, cachedTokens: 0, draftTokens: 0, acceptedTokens: 0 }
  let prompt = -1
  for (const { usage, prompt: of } of request.jobs) {
    if (usage === null) continue
    if (of !== prompt) {
      totals.promptTokens += usage.promptTokens
      totals.cachedTokens += usage.cachedTokens
      prompt = of
    }
    totals.completionTokens += usage.completionTokens
    totals.draftTokens += usage.draftTokens
    totals.acceptedTokens += usage.acceptedTokens
  }
  return totals
}
