/**
 * What the router counts. Everything that is counted per request or per delta is counted here, once, from the request's own times.
 *
 * Counters and histograms are set when it happens; gauges at scrape time, from the state itself, so they cannot drift.
 */
import { addWait } from '#algorithms/waitHistogram.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import type { RouterReport } from '#contracts/messages.ts'
import { routerMetrics } from '#contracts/metrics.ts'
import { createMetrics, type Metrics } from '#runtime/metrics.ts'
import type { PickCause } from './core/pick.ts'
import { judge, outcomeOf, type RequestOutcomeTag } from './core/goodput.ts'
import { type ActiveRequest, type Job, type RequestOutcome, type RoutedRequest, usageOf } from './request.ts'

export type RouterMetrics = Metrics<typeof routerMetrics>
export const createRouterMetrics = (): RouterMetrics => createMetrics(routerMetrics)

/** Since the last report to the operator. */
interface Window {
  running: number
  good: number
  lost: number
  waitMs: number
  dispatched: number
  waits: number[]
}

/** How many requests of a deployment wait, and how many of them without any worker to wait for. */
export interface Depth {
  readonly requests: number
  readonly bytes: number
  readonly held: number
}

/** `placed`: a worker took it. `expired`: none was up in time, or others displaced it. `left`: its client did. */
export type HoldEnd = 'placed' | 'expired' | 'left'

export class RequestMeter {
  readonly #metrics: RouterMetrics
  readonly #windows = new Map<DeploymentName, Window>()
  /** Moving mean of how long a request that was completed held its slots. */
  readonly #serviceMs = new Map<DeploymentName, number>()

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
    addWait(window.waits, waitMs)
    this.#metrics.queueWait.observe({ model: model.deployment }, waitMs / 1_000)
  }

  picked(job: Job, cause: PickCause): void {
    this.#metrics.picks.inc({ model: job.request.routed.model.deployment, cause })
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

  holdEnded(model: DeploymentName, outcome: HoldEnd, heldMs: number): void {
    this.#metrics.holdSeconds.observe({ model, outcome }, heldMs / 1_000)
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
    if (outcome.kind === 'completed') {
      this.#countTokens(request)
      if (request.dispatchedAt !== null) this.#learnService(model, now - request.dispatchedAt)
    }
    const verdict = this.#judge(request, outcome, now)
    const labels = { model, tenant: routed.tenant }
    if (verdict.kind === 'good') {
      window.good += 1
      this.#metrics.sloGood.inc(labels)
    } else if (verdict.kind === 'lost') {
      window.lost += 1
      this.#metrics.sloLost.inc({ ...labels, cause: verdict.cause })
    }
  }

  /** What this router has seen per deployment since it was last asked; of one where nothing is going on, nothing. */
  report(
    deployments: Iterable<DeploymentName>,
    depthOf: (of: DeploymentName) => Depth,
    seconds: number,
  ): RouterReport['deployments'] {
    return [...deployments].flatMap((deployment) => {
      const window = this.#windows.get(deployment)
      const { requests, held } = depthOf(deployment)
      if (requests === 0 && (window === undefined || isIdle(window))) return []
      const { running, good, lost, waitMs, dispatched, waits } = window ?? newWindow()
      if (window !== undefined) Object.assign(window, { ...newWindow(), running })
      return {
        deployment,
        queued: requests,
        held,
        running,
        queueWaitMs: dispatched === 0 ? 0 : waitMs / dispatched,
        queueWaits: waits,
        sloGoodput: good / seconds,
        offered: good + lost,
        met: good,
      }
    })
  }

  /** What a request of the deployment takes from its dispatch to its end, in the mean; null: none was completed yet. */
  serviceMs(deployment: DeploymentName): number | null {
    return this.#serviceMs.get(deployment) ?? null
  }

  running(deployment: DeploymentName): number {
    return this.#windows.get(deployment)?.running ?? 0
  }

  forget(deployment: DeploymentName): void {
    if (this.running(deployment) === 0) this.#windows.delete(deployment)
    this.#serviceMs.delete(deployment)
  }

  #learnService(deployment: DeploymentName, ms: number): void {
    const before = this.#serviceMs.get(deployment) ?? ms
    this.#serviceMs.set(deployment, before + (ms - before) * serviceLearning)
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
    this.#metrics.predictedCachedTokens.inc({ model: labels.model }, predictedCachedTokens(request))
  }

  #window(deployment: DeploymentName): Window {
    const found = this.#windows.get(deployment)
    if (found !== undefined) return found
    const window = newWindow()
    this.#windows.set(deployment, window)
    return window
  }
}

/** Weight of the newest request in the mean: some ten requests are remembered. */
const serviceLearning = 0.1
const newWindow = (): Window => ({ running: 0, good: 0, lost: 0, waitMs: 0, dispatched: 0, waits: [] })
const isIdle = ({ running, good, lost, dispatched }: Window) => running + good + lost + dispatched === 0

/** As `cachedTokens` of the usage counts: once for each prompt, in the worker's own tokens and not in estimated ones. */
function predictedCachedTokens({ jobs }: ActiveRequest): number {
  let tokens = 0
  let counted = -1
  for (const { usage, prompt, heldTokens, promptTokensEstimate } of jobs) {
    if (usage === null || prompt === counted) continue
    tokens += (heldTokens / promptTokensEstimate) * usage.promptTokens
    counted = prompt
  }
  return tokens
}

export function outcomeTag(outcome: RequestOutcome): RequestOutcomeTag {
  return outcome.kind === 'failed' ? outcomeOf(outcome.failure.code) : outcome.kind
}
