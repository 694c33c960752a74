/**
 * What the router counts. Everything that is counted per request or per delta is counted here, once, from the request's own times.
 *
 * Counters and histograms are set when it happens; gauges at scrape time, from the state itself, so they cannot drift.
 */
import type { DeploymentName } from '#contracts/ids.ts'
import type { RouterReport } from '#contracts/messages.ts'
import { routerMetrics } from '#contracts/metrics.ts'
import { createMetrics, type Metrics } from '#runtime/metrics.ts'
import { judge, outcomeOf, type RequestOutcomeTag } from './core/goodput.ts'
import { type ActiveRequest, type RequestOutcome, type RoutedRequest, usageOf } from './request.ts'

export type RouterMetrics = Metrics<typeof routerMetrics>
export const createRouterMetrics = (): RouterMetrics => createMetrics(routerMetrics)

/** Since the last report to the operator. */
interface Window {
  running: number
  good: number
  waitMs: number
  dispatched: number
}

export class RequestMeter {
  readonly #metrics: RouterMetrics
  readonly #windows = new Map<DeploymentName, Window>()

  constructor(metrics: RouterMetrics) {
    this.#metrics = metrics
  }

  dispatched(request: ActiveRequest, now: number): void {
    const { model, arrivedAt } = request.routed
    const window = this.#window(model.deployment)
    const waitMs = now - arrivedAt
    window.running += 1
    window.waitMs += waitMs
    window.dispatched += 1
    this.#metrics.queueWait.observe({ model: model.deployment }, waitMs / 1_000)
  }

  overhead(routed: RoutedRequest, now: number): void {
    if (routed.readAt === undefined) return
    this.#metrics.dispatchOverhead.observe({ model: routed.model.deployment }, (now - routed.readAt) / 1_000)
  }

  /** Called for each delta that is handed to the client, before the request's own times are set. */
  text(request: ActiveRequest, now: number): void {
    if (!request.routed.streaming) return
    const model = request.routed.model.deployment
    if (request.lastTextAt === null)
      this.#metrics.timeToFirstToken.observe({ model }, (now - request.routed.arrivedAt) / 1_000)
    else this.#metrics.interToken.observe({ model }, (now - request.lastTextAt) / 1_000)
  }

  retried(request: ActiveRequest, cause: string): void {
    this.#metrics.retries.inc({ model: request.routed.model.deployment, cause })
  }

  ended(request: ActiveRequest, outcome: RequestOutcome, now: number): void {
    const { routed } = request
    const model = routed.model.deployment
    const window = this.#window(model)
    if (request.dispatchedAt !== null) window.running -= 1
    this.#metrics.duration.observe({ model }, (now - routed.arrivedAt) / 1_000)
    if (outcome.kind === 'completed') this.#countTokens(request)
    const verdict = this.#judge(request, outcome, now)
    const labels = { model, tenant: routed.tenant }
    if (verdict.kind === 'good') {
      window.good += 1
      this.#metrics.sloGood.inc(labels)
    } else if (verdict.kind === 'lost') this.#metrics.sloLost.inc({ ...labels, cause: verdict.cause })
  }

  /** What this router has seen per deployment since it was last asked. */
  report(
    deployments: Iterable<DeploymentName>,
    queued: (of: DeploymentName) => number,
    seconds: number,
  ): RouterReport['deployments'] {
    return [...deployments].map((deployment) => {
      const window = this.#window(deployment)
      const entry = {
        deployment,
        queued: queued(deployment),
        running: window.running,
        queueWaitMs: window.dispatched === 0 ? 0 : window.waitMs / window.dispatched,
        sloGoodput: window.good / seconds,
      }
      Object.assign(window, { good: 0, waitMs: 0, dispatched: 0 })
      return entry
    })
  }

  running(deployment: DeploymentName): number {
    return this.#windows.get(deployment)?.running ?? 0
  }

  forget(deployment: DeploymentName): void {
    if (this.running(deployment) === 0) this.#windows.delete(deployment)
  }

  #judge(request: ActiveRequest, outcome: RequestOutcome, now: number) {
    const { arrivedAt, choices, works, model, streaming } = request.routed
    const since = (at: number | null) => (at === null ? null : at - arrivedAt)
    const tokens = outcome.kind === 'completed' ? outcome.usage.completionTokens / (choices * works.length) : 0
    const course = {
      outcome: outcomeTag(outcome),
      streaming,
      durationMs: now - arrivedAt,
      firstTextMs: since(request.firstTextAt),
      lastTextMs: since(request.lastTextAt),
      tokens,
    }
    return judge(course, model.slo)
  }

  #countTokens(request: ActiveRequest): void {
    const labels = { model: request.routed.model.deployment, tenant: request.routed.tenant }
    const usage = usageOf(request)
    this.#metrics.promptTokens.inc(labels, usage.promptTokens)
    this.#metrics.cachedTokens.inc(labels, usage.cachedTokens)
    this.#metrics.completionTokens.inc(labels, usage.completionTokens)
  }

  #window(deployment: DeploymentName): Window {
    const found = this.#windows.get(deployment)
    if (found !== undefined) return found
    const window = { running: 0, good: 0, waitMs: 0, dispatched: 0 }
    this.#windows.set(deployment, window)
    return window
  }
}

export function outcomeTag(outcome: RequestOutcome): RequestOutcomeTag {
  return outcome.kind === 'failed' ? outcomeOf(outcome.failure.code) : outcome.kind
}
