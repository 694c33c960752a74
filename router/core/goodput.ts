/**
 * SLO goodput: did a request meet every limit of its SLO, and if not, the one cause it is lost to.
 *
 * What a client can check itself: a streaming client sees its first text and the mean time per further token; one that does not
 * stream sees only the whole time, which must be within first token + tokens × time per token. Requests that ended by the
 * client's own doing (invalid, cancelled) count neither as good nor as lost.
 */
import type { FailureCode } from '#contracts/failure.ts'
import type { goodputLosses, requestOutcomes } from '#contracts/metrics.ts'

export type GoodputLoss = (typeof goodputLosses)[number]
export type RequestOutcomeTag = (typeof requestOutcomes)[number]

export type Verdict =
  | { readonly kind: 'good' }
  | { readonly kind: 'lost'; readonly cause: GoodputLoss }
  | { readonly kind: 'not-counted' }

export interface Course {
  readonly outcome: RequestOutcomeTag
  readonly streaming: boolean
  readonly durationMs: number
  /** Null: no text was written. */
  readonly firstTextMs: number | null
  readonly lastTextMs: number | null
  /** Per choice. */
  readonly tokens: number
}

export interface SloLimits {
  readonly ttftMs: number
  readonly tpotMs: number
}

export function judge(course: Course, slo: SloLimits): Verdict {
  switch (course.outcome) {
    case 'completed':
      return course.streaming ? judgeStream(course, slo) : judgeWhole(course, slo)
    case 'invalid':
    case 'cancelled':
      return { kind: 'not-counted' }
    case 'refused':
      return { kind: 'lost', cause: 'refused' }
    case 'expired':
      return { kind: 'lost', cause: 'expired' }
    case 'aborted':
    case 'failed':
      return { kind: 'lost', cause: 'failed' }
    default:
      return course.outcome satisfies never
  }
}

function judgeStream(course: Course, slo: SloLimits): Verdict {
  // A stream without any text (the first token ended it) is judged by when it ended.
  const firstMs = course.firstTextMs ?? course.durationMs
  if (firstMs > slo.ttftMs) return { kind: 'lost', cause: 'late-first-token' }
  const furtherMs = (course.lastTextMs ?? firstMs) - firstMs
  if (furtherMs > slo.tpotMs * Math.max(0, course.tokens - 1)) return { kind: 'lost', cause: 'late-tokens' }
  return { kind: 'good' }
}

function judgeWhole(course: Course, slo: SloLimits): Verdict {
  if (course.durationMs <= slo.ttftMs + slo.tpotMs * Math.max(0, course.tokens - 1)) return { kind: 'good' }
  return { kind: 'lost', cause: course.tokens <= 1 ? 'late-first-token' : 'late-tokens' }
}

/** What a failure counts as. */
export function outcomeOf(code: FailureCode): RequestOutcomeTag {
  switch (code) {
    case 'invalid-request':
    case 'context-exceeded':
    case 'unauthenticated':
    case 'model-not-found':
    case 'unsupported':
    case 'body-too-large':
    case 'request-timeout':
      return 'invalid'
    case 'refused':
    case 'no-worker':
    case 'bus-unavailable':
    case 'draining':
      return 'refused'
    case 'expired':
      return 'expired'
    case 'aborted':
      return 'aborted'
    case 'cancelled':
      return 'cancelled'
    case 'worker-lost':
    case 'engine-fault':
    case 'native-fault':
    case 'model-unusable':
    case 'download-failed':
    case 'tool-missing':
    case 'invalid-configuration':
    case 'message-invalid':
    case 'cluster-unavailable':
    case 'cluster-refused':
    case 'lease-lost':
      return 'failed'
    default:
      return code satisfies never
  }
}
