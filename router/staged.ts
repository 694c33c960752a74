/**
 * A client's request to a route that takes several steps (`cascade`, `risk`): nobody knows yet which deployment's answer the client gets.
 *
 * What HTTP knows of it, behind functions: how its body reads for a deployment, and how it is answered once somebody's answer was chosen.
 * A strategy asks deployments through `inner`, then calls `answer` or `fail`, one of them once. Nothing goes out before.
 */
import type { Failure } from '#contracts/failure.ts'
import type { ModelRecord, RouteRecord } from '#contracts/records.ts'
import type { InnerRequests } from './innerRequests.ts'
import type { ParsedRequest } from './openai/route.ts'
import type { ResponseSink } from './request.ts'
import type { Decided, NamedRequest } from './routing.ts'

/** A body as one deployment understands it, and the way to answer it in that deployment's name. */
export interface Understood {
  readonly parsed: ParsedRequest
  readonly open: () => ResponseSink
}

export interface StagedRequest {
  readonly named: NamedRequest
  readonly inner: InnerRequests
  readonly arrivedAt: number
  /** With the same seed for each. Throws the Failure to answer with, where the deployment cannot take it. */
  understand(model: ModelRecord): Understood
  /** The answer is that deployment's. The sink writes to the client. */
  answer(decided: Decided, understood: Understood): ResponseSink
  fail(decided: Decided, failure: Failure): void
  /** A bug in a strategy: the client is told that it is not its fault. */
  threw(error: unknown): void
  /** A bug in what is done aside: only the log hears of it, for the client's answer is somebody else's. */
  threwAside(error: unknown): void
}

export type StagedKind = 'cascade' | 'risk'

/** One kind of policy with several steps. */
export interface StagedStrategy<Kind extends StagedKind> {
  /** Begins, and returns; the request is answered whenever it is. Ends early where `inner` is cancelled. */
  run(route: StagedRecord<Kind>, request: StagedRequest): void
  /** What it would do now, and nothing else. */
  explain(route: StagedRecord<Kind>): Decided
}

type PolicyOf<Kind> = Extract<RouteRecord['policy'], { kind: Kind }>
export type StagedRecord<Kind extends StagedKind = StagedKind> = RouteRecord & { readonly policy: PolicyOf<Kind> }
