/**
 * Whether an answer was right, as its client found out later: answers that a calibration kept are remembered for a while by their
 * request, and a label of one goes to the operator, which watches whether the calibration still holds.
 *
 * An answer is labelled at most once, and only by its own tenant. A label of an answer that another router gave is passed on to all of
 * them; who gave it counts it. What nobody remembers is lost, which costs a label and nothing else. Never remembers a text.
 */
import type { IncomingMessage } from 'node:http'
import * as z from 'zod'
import { type RequestId, RequestId as RequestIdSchema, type TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { PassedLabel, type RouteLabel } from '#contracts/messages.ts'
import { subjects } from '#contracts/subjects.ts'
import { Failure } from '#contracts/failure.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import { parseJson, readBody } from './body.ts'
import type { KeptAnswer } from './cascade.ts'
import { answering, type EndpointOptions } from './endpoints.ts'
import { type Exchange, headerOf } from './exchange.ts'
import { parseBody } from './openai/parse.ts'

export interface Labelled {
  readonly request: RequestId
  readonly tenant: TenantId
  readonly correct: boolean
}

/** `counted`: it was one of ours. `passed-on`: not ours, or not kept by a calibration, or too old: another router may know it. */
export type LabelTaken = 'counted' | 'passed-on'

export class Feedback {
  readonly #options: { readonly bus: Bus; readonly clock: Clock; readonly log: Log }
  /** In the order of their keeping, the oldest first. */
  readonly #kept = new Map<string, { readonly answer: KeptAnswer; readonly at: number }>()
  #subscription: Subscription | null = null

  constructor(options: { readonly bus: Bus; readonly clock: Clock; readonly log: Log }) {
    this.#options = options
  }

  start(): void {
    this.#subscription = this.#options.bus.subscribe(subjects.passedLabel, (payload) => this.#receive(payload))
  }

  stop(): void {
    this.#subscription?.unsubscribe()
    this.#kept.clear()
  }

  remember(answer: KeptAnswer): void {
    const now = this.#options.clock.now()
    const key = keyOf(answer)
    // A client may use an id again; the newer answer is the one that it means.
    this.#kept.delete(key)
    this.#kept.set(key, { answer, at: now })
    const { decisionsMax, decisionsAgeMsMax } = limits.calibration
    for (const [oldest, { at }] of this.#kept) {
      if (this.#kept.size <= decisionsMax && now - at <= decisionsAgeMsMax) break
      this.#kept.delete(oldest)
    }
  }

  take(labelled: Labelled): LabelTaken {
    if (this.#count(labelled)) return 'counted'
    this.#options.bus.publish(subjects.passedLabel, encode(labelled))
    return 'passed-on'
  }

  #count({ correct, ...named }: Labelled): boolean {
    const key = keyOf(named)
    const found = this.#kept.get(key)
    if (found === undefined || this.#options.clock.now() - found.at > limits.calibration.decisionsAgeMsMax) return false
    this.#kept.delete(key)
    const { route, deployment, calibration } = found.answer
    const label: RouteLabel = { route, deployment, calibration, correct }
    this.#options.bus.publish(subjects.routeLabel(route), encode(label))
    return true
  }

  #receive(payload: Uint8Array): void {
    try {
      this.#count(decode(PassedLabel, payload))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#options.log.warn({ error }, 'a label that was passed on is not understood')
    }
  }
}

const keyOf = ({ tenant, request }: Pick<KeptAnswer, 'tenant' | 'request'>) => `${tenant} ${request}`

const FeedbackBody = z.object({
  request_id: RequestIdSchema,
  correct: z.boolean(),
})

/** `POST /v1/feedback`: `request_id` is the answer's `x-request-id`. */
export function feedback({ router, config }: EndpointOptions, request: IncomingMessage, exchange: Exchange): void {
  answering(exchange, () => {
    const { tenant } = router.authenticate(headerOf(request, 'authorization'))
    const answer = (bytes: Buffer) => {
      const { request_id: id, correct } = parseBody(FeedbackBody, parseJson(bytes))
      const taken = router.takeLabel({ request: id, tenant, correct })
      exchange.json(taken === 'counted' ? 200 : 202, { object: 'feedback', request_id: id, status: taken })
    }
    readBody(request, config.limits.bodyBytesMax, {
      refuse: (failure) => exchange.fail(failure),
      body: (bytes) => answering(exchange, () => answer(bytes)),
    })
  })
}
