/**
 * Failures as OpenAI's clients expect them: one table from failure code to HTTP status, error type and error code.
 *
 * A status of 429 or 503 always carries `Retry-After`. 499 never leaves the process (the client is gone); it is what logs and
 * metrics say. The message is the failure's own: it names the field, what was given and what to change.
 */
import type { Failure, FailureCode } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

interface Answer {
  readonly status: number
  readonly type: string
  /** OpenAI's own code where there is one; else ours. */
  readonly code: string
}

const invalid = 'invalid_request_error'
const overloaded = 'service_unavailable_error'
const ours = 'server_error'

const answers: Readonly<Record<FailureCode, Answer>> = {
  'invalid-request': { status: 400, type: invalid, code: 'invalid_value' },
  'context-exceeded': { status: 400, type: invalid, code: 'context_length_exceeded' },
  unsupported: { status: 400, type: invalid, code: 'unsupported_value' },
  unauthenticated: { status: 401, type: 'authentication_error', code: 'invalid_api_key' },
  'model-not-found': { status: 404, type: invalid, code: 'model_not_found' },
  'request-timeout': { status: 408, type: invalid, code: 'request_timeout' },
  'body-too-large': { status: 413, type: invalid, code: 'body_too_large' },
  refused: { status: 429, type: 'rate_limit_error', code: 'queue_full' },
  cancelled: { status: 499, type: ours, code: 'cancelled' },
  expired: { status: 503, type: overloaded, code: 'deadline_exceeded' },
  aborted: { status: 503, type: overloaded, code: 'aborted' },
  'no-worker': { status: 503, type: overloaded, code: 'no_worker' },
  'worker-lost': { status: 503, type: overloaded, code: 'worker_lost' },
  'bus-unavailable': { status: 503, type: overloaded, code: 'bus_unavailable' },
  'cluster-unavailable': { status: 503, type: overloaded, code: 'cluster_unavailable' },
  draining: { status: 503, type: overloaded, code: 'draining' },
  'model-unusable': { status: 503, type: overloaded, code: 'model_unusable' },
  'download-failed': { status: 503, type: overloaded, code: 'download_failed' },
  'engine-fault': { status: 500, type: ours, code: 'engine_fault' },
  'native-fault': { status: 500, type: ours, code: 'native_fault' },
  'tool-missing': { status: 500, type: ours, code: 'tool_missing' },
  'invalid-configuration': { status: 500, type: ours, code: 'invalid_configuration' },
  'message-invalid': { status: 500, type: ours, code: 'message_invalid' },
  'cluster-refused': { status: 500, type: ours, code: 'cluster_refused' },
  'lease-lost': { status: 500, type: ours, code: 'lease_lost' },
}

export function statusOf(code: FailureCode): number {
  return answers[code].status
}

/** Whole seconds, at least one; null where trying again is no use. */
export function retryAfterSeconds(failure: Failure): number | null {
  const { status } = answers[failure.code]
  if (status !== 429 && status !== 503) return null
  const afterMs = failure.retry.kind === 'after' ? failure.retry.afterMs : limits.queue.retryAfterMsDefault
  return Math.max(1, Math.ceil(afterMs / 1_000))
}

export function errorBody(failure: Failure): string {
  const { type, code } = answers[failure.code]
  return errorJson({ message: failure.message, type, code, param: failure.param ?? null })
}

export function errorJson(error: { message: string; type: string; code: string; param: string | null }): string {
  return JSON.stringify({ error })
}
