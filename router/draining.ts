/** What a router that shuts down answers. */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

export function drainingFailure(): Failure {
  return new Failure('draining', 'this router is shutting down; send the request again', {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}
