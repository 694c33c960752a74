/**
 * Everything that can go wrong outside our own code, by what the caller may do about it.
 *
 * A `Failure` is thrown (or sent as `FailureMessage`) when the outside world did not do what was needed; its message says
 * what was tried with which values and what to change. A bug is not a Failure: it is an assertion and ends the process.
 * Codes map to HTTP, NATS and conditions in one table each; nobody ever matches on the text.
 */
import * as z from 'zod'

export const failureCodes = {
  'invalid-request': 'the request breaks a rule that its message names; sending it again unchanged fails again',
  'context-exceeded': 'prompt plus requested tokens do not fit the context of the model',
  unauthenticated: 'no API key, or one that is not known',
  'model-not-found': 'no deployment or route of that name',
  unsupported: 'this deployment cannot do what was asked (embeddings, grammar, …)',
  'body-too-large': 'the body is over the limit in bytes',
  'request-timeout': 'the client did not send its request within the time limit',
  refused: 'never queued: a bound is reached; try again after `retry.afterMs`',
  expired: 'queued or dispatched, but its deadline passed before the first token',
  aborted: 'sent and then stopped before it was complete',
  cancelled: 'the client left',
  'no-worker': 'no live worker serves this deployment at present',
  'worker-lost': 'the worker died or fell silent while it had the request',
  'bus-unavailable': 'NATS cannot be reached',
  'cluster-unavailable': 'the Kubernetes API server cannot be reached, or does not answer in time',
  'cluster-refused': 'the Kubernetes API server does not accept what it was asked to do',
  'lease-lost': 'this operator is no longer the leader and may write nothing',
  draining: 'this process is shutting down and takes nothing new',
  'engine-fault': 'the engine refused or broke a step',
  'native-fault': 'a native library refused a call or does not have the expected layout',
  'model-unusable': 'the model file is damaged, not what was pinned, or of a kind the engine cannot load',
  'download-failed': 'no source gave the pinned content',
  'tool-missing': 'a program that is needed cannot be found or made',
  'invalid-configuration': 'a setting or resource breaks a rule that its message names',
  'message-invalid': 'a message from another process does not have its declared form',
} as const

export const FailureCode = z.enum(Object.keys(failureCodes) as [FailureCode, ...FailureCode[]])
export type FailureCode = keyof typeof failureCodes

/** What the caller may do: never again unchanged, at once elsewhere, or after a while. */
export const Retry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('never') }),
  z.object({ kind: z.literal('elsewhere') }),
  z.object({ kind: z.literal('after'), afterMs: z.number().nonnegative() }),
])
export type Retry = z.infer<typeof Retry>

/** A failure as it crosses a process boundary. `param` names the offending request field, in OpenAI's form (`messages[0].content`). */
export const FailureMessage = z.object({
  code: FailureCode,
  message: z.string(),
  retry: Retry,
  param: z.string().optional(),
})
export type FailureMessage = z.infer<typeof FailureMessage>

export class Failure extends Error {
  readonly code: FailureCode
  readonly retry: Retry
  readonly param: string | undefined

  constructor(code: FailureCode, message: string, options: { retry?: Retry; param?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'Failure'
    this.code = code
    this.retry = options.retry ?? { kind: 'never' }
    this.param = options.param
  }

  static from(message: FailureMessage): Failure {
    return new Failure(message.code, message.message, {
      retry: message.retry,
      ...(message.param === undefined ? {} : { param: message.param }),
    })
  }

  toMessage(): FailureMessage {
    return {
      code: this.code,
      message: this.message,
      retry: this.retry,
      ...(this.param === undefined ? {} : { param: this.param }),
    }
  }
}
