/**
 * Requests to routes with the strategy `risk`: the first deployment answers, the answer is assessed and scored, and by the score it is
 * given, asked for once more, or asked of the other deployment. Decides nothing itself (`core/riskDecision.ts`).
 *
 * Without a calibration that fits, and in shadow mode, the other deployment answers at once; the first is then asked aside, and only where
 * somebody wants to know what it would have said. Texts are in no log and no metric, and in the traffic log only after its redactions.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { RiskCalibration } from '#contracts/riskCalibration.ts'
import { labelNames, misfitOf, type RiskPolicy } from '#contracts/riskPolicy.ts'
import type { Clock } from '#runtime/clock.ts'
import { repromptOf } from './core/reprompt.ts'
import { decideRisk, type RiskCause, type RiskDecision } from './core/riskDecision.ts'
import { type RiskScorer, riskScore, scorerOf } from './core/riskScore.ts'
import { stagedDecision, type StepCause, type StepRecord } from './core/route.ts'
import type { Deployments } from './deployments.ts'
import type { RouterMetrics } from './metrics.ts'
import type { Choice } from './openai/format.ts'
import type { UsageTotals } from './request.ts'
import { type Assessed, Assessor } from './riskAssessment.ts'
import type { RiskChecker } from './riskChecker.ts'
import { type Noted, RiskNotes } from './riskNotes.ts'
import { type Decided, noDeployment, type Routing } from './routing.ts'
import type { StagedRecord, StagedRequest, StagedStrategy, Understood } from './staged.ts'
import type { TrafficLog } from './trafficLog.ts'

type RiskRecord = StagedRecord<'risk'>

export interface RiskOptions {
  readonly deployments: Pick<Deployments, 'record'>
  readonly routing: Pick<Routing, 'record'>
  readonly checker: RiskChecker
  /** Null: this router keeps nothing, whatever a route asks for. */
  readonly traffic: Pick<TrafficLog, 'keep'> | null
  readonly clock: Clock
  readonly metrics: RouterMetrics
  /** 0 ≤ x < 1: which requests are kept. */
  readonly random: () => number
}

/** One answer of the first deployment. */
interface Answered {
  readonly understood: Understood
  /** What the client asked, in a second try too: that is what the answer is one of. */
  readonly work: Work
  readonly choice: Choice
  readonly usage: UsageTotals
  readonly tookMs: number
}

interface Unanswered {
  readonly cause: RiskCause
}

interface Scored {
  readonly assessed: Assessed
  readonly risk: number | null
  readonly judgeMs: number
}

type Done = Pick<Noted, 'cause' | 'isGiven'>

export class RiskRoutes implements StagedStrategy<'risk'> {
  readonly #options: RiskOptions
  readonly #assessor: Assessor
  readonly #notes: RiskNotes
  /** By document: a record that is published anew brings another one, and the old one is forgotten with it. */
  readonly #scorers = new WeakMap<RiskCalibration, RiskScorer>()

  constructor(options: RiskOptions) {
    this.#options = options
    const { checker, deployments, metrics, traffic } = options
    const record = (name: DeploymentName) => deployments.record(name)
    this.#assessor = new Assessor({ checker, record })
    this.#notes = new RiskNotes({ metrics, traffic, record })
  }

  run(route: RiskRecord, request: StagedRequest): void {
    this.#run(route, request).catch((error: unknown) => request.threw(error))
  }

  explain(route: RiskRecord): Decided {
    const { policy } = route
    if (this.#scorer(policy) === null) return this.#planned(route, policy.escalateTo, 'uncalibrated')
    return policy.shadow
      ? this.#planned(route, policy.escalateTo, 'shadow')
      : this.#planned(route, policy.deployment, 'unjudged')
  }

  #planned(route: RiskRecord, deployment: DeploymentName, fallback: StepCause): Decided {
    return this.#decided(route, { deployment, steps: [], fallback })
  }

  async #run(route: RiskRecord, request: StagedRequest): Promise<void> {
    const { policy } = route
    const scorer = this.#scorer(policy)
    const course = new Course(route, request, this.#isKept(policy))
    if (scorer !== null && !policy.shadow) return this.#follow(course, scorer)
    if (policy.shadow || course.isKept)
      this.#lookAside(course, scorer).catch((error: unknown) => request.threwAside(error))
    this.#escalate(course, scorer === null ? 'uncalibrated' : 'shadow')
  }

  /** At most two tries; each ends with the answer given, the other deployment asked, or the next try. */
  async #follow(course: Course, scorer: RiskScorer): Promise<void> {
    let reprompt: Work | null = null
    for (const isSecond of [false, true]) {
      const answered: Answered | Unanswered = await this.#ask(course, reprompt)
      if (course.hasLeft) return
      if ('cause' in answered) return this.#escalate(course, answered.cause)
      const scored = await this.#score(course, answered, scorer)
      if (course.hasLeft) return
      const decision = this.#decide(course, answered, scored, isSecond)
      if (decision.kind === 'answer') return this.#give(course, answered)
      const { work, choice } = answered
      reprompt =
        decision.kind === 'reprompt' ? repromptOf(work, choice.text, course.policy, scored.assessed.votes) : null
      if (reprompt === null) return this.#escalate(course, null)
    }
  }

  /** What the first deployment would have said, for the figures and the traffic log. Nobody waits for it. */
  async #lookAside(course: Course, scorer: RiskScorer | null): Promise<void> {
    const answered = await this.#ask(course, null)
    if ('cause' in answered) return
    const scored = await this.#score(course, answered, scorer)
    if (course.hasLeft) return
    const facts = { isCalibrated: scorer !== null, isSecond: false, risk: scored.risk }
    const decision = decideRisk(facts, course.policy)
    // Without a calibration the request itself has been counted as escalated.
    if (scorer !== null) this.#notes.decided(course.route.route, decision)
    this.#note(course, scored, { cause: decision.cause, isGiven: false })
  }

  async #ask(course: Course, reprompt: Work | null): Promise<Answered | Unanswered> {
    const { policy, request } = course
    const model = this.#options.deployments.record(policy.deployment)
    if (model === undefined) return { cause: 'failed' }
    const understood = understoodOf(request, model)
    if (understood === null) return { cause: 'failed' }
    const { works, choices, sampling } = understood.parsed
    const [work] = works
    if (work === undefined || works.length > 1 || choices > 1 || work.kind === 'embedding') return { cause: 'several' }
    // Alternatives are the client's wish, the tokens' own chances are ours.
    const answer = await request.inner.ask({
      model,
      works: [reprompt ?? work],
      sampling: { ...sampling, logprobs: sampling.logprobs ?? 0 },
      patienceMs: request.inner.patienceMs,
    })
    const choice = answer.kind === 'completed' ? answer.choices[0] : undefined
    if (answer.kind !== 'completed' || choice === undefined) return { cause: 'failed' }
    course.said = choice.text
    return { understood, work, choice, usage: answer.usage, tookMs: answer.tookMs }
  }

  async #score(course: Course, answered: Answered, scorer: RiskScorer | null): Promise<Scored> {
    const { clock, metrics } = this.#options
    const { policy, request, isKept } = course
    const { parsed } = answered.understood
    const keepsTexts = isKept && policy.trafficLog?.texts === true
    const startedAt = clock.now()
    const assessed = await this.#assessor.assess({
      policy,
      inner: request.inner,
      model: parsed.model,
      work: answered.work,
      sampling: parsed.sampling,
      answer: answered.choice,
      redactions: keepsTexts ? (policy.trafficLog?.redact ?? []) : null,
    })
    const scoredAt = clock.now()
    const risk = scorer === null ? null : riskScore(scorer, assessed.embedding, assessed.votes)
    metrics.riskScoreSeconds.observe({ route: course.route.route }, (clock.now() - scoredAt) / 1_000)
    return { assessed, risk, judgeMs: clock.now() - startedAt }
  }

  #decide(course: Course, answered: Answered, scored: Scored, isSecond: boolean): RiskDecision {
    const { policy } = course
    const decision = decideRisk({ risk: scored.risk, isCalibrated: true, isSecond }, policy)
    this.#notes.decided(course.route.route, decision)
    // Votes and scores are told of first answers; a second one is another law.
    if (!isSecond) this.#note(course, scored, { cause: decision.cause, isGiven: decision.kind === 'answer' })
    course.steps.push({
      deployment: policy.deployment,
      action: decision.kind === 'answer' ? 'keep' : decision.kind,
      cause: decision.cause,
      score: scored.risk,
      threshold: isSecond ? policy.escalateFrom : policy.answerBelow,
      isGuaranteed: false,
      answerMs: answered.tookMs,
      judgeMs: scored.judgeMs,
    })
    return decision
  }

  /** What was found out, for figures and, where it is kept, for the next calibration. */
  #note({ route, policy, request, isKept }: Course, { assessed, risk }: Scored, done: Done): void {
    const noted = { route: route.route, policy, request: request.named.id, assessed, risk, ...done }
    this.#notes.scored(noted)
    if (isKept) this.#notes.keep(noted)
  }

  #give(course: Course, { understood, choice, usage }: Answered): void {
    const { request, policy } = course
    const decided = this.#decidedIn(course, policy.deployment)
    const sink = request.answer(decided, understood)
    const { index, text, logprobs, finish } = choice
    const isAsked = understood.parsed.sampling.logprobs !== null
    sink.delta(0, [
      {
        index,
        text,
        tokens: [],
        ...(isAsked && logprobs !== null ? { logprobs: [...logprobs] } : {}),
        ...(finish === null ? {} : { finish }),
      },
    ])
    sink.end({ kind: 'completed', usage, embeddings: [] })
  }

  /** `cause`: why nobody decided about an answer; null: somebody did, and it is said. */
  #escalate(course: Course, cause: RiskCause | null): void {
    const { request, policy, route, said } = course
    if (cause !== null) {
      course.steps.push(unaskedStep(policy.deployment, cause))
      if (cause !== 'shadow') this.#notes.decided(route.route, { kind: 'escalate', cause })
    }
    const decided = this.#decidedIn(course, policy.escalateTo)
    if (decided.record === null) return request.fail(decided, noDeployment(route.name))
    try {
      const understood = request.understand(decided.record)
      const { parsed } = understood
      const hints = said === null ? {} : { hints: [said.slice(0, limits.request.hintCharactersMax)] }
      request.inner.stream({ ...parsed, ...hints }, request.answer(decided, understood))
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      request.fail(decided, error)
    }
  }

  #decidedIn({ route, request, steps }: Course, deployment: DeploymentName): Decided {
    const decided = this.#decided(route, { deployment, steps, fallback: 'unjudged' })
    const tookMs = this.#options.clock.now() - request.arrivedAt
    this.#options.routing.record(request.named, { ...decided, tookMs })
    return { ...decided, tookMs }
  }

  #decided(route: RiskRecord, chosen: Parameters<typeof stagedDecision>[1]): Decided {
    const record = chosen.deployment === null ? null : (this.#options.deployments.record(chosen.deployment) ?? null)
    return { decision: stagedDecision(route, chosen), record, tookMs: 0 }
  }

  /** Null: nothing is calibrated for these deployments as they are now. */
  #scorer(policy: RiskPolicy): RiskScorer | null {
    if (policy.calibration.kind === 'none') return null
    const { document } = policy.calibration
    const [answers, embeds] = [policy.deployment, policy.embedding].map((name) => {
      const record = this.#options.deployments.record(name)
      return { model: record?.model, embeddings: record?.capabilities.embeddings === true }
    })
    if (answers === undefined || embeds === undefined) return null
    if (misfitOf(document, { answers, embeds, labels: labelNames(policy.labels) }) !== null) return null
    const known = this.#scorers.get(document)
    if (known !== undefined) return known
    const scorer = scorerOf(document)
    this.#scorers.set(document, scorer)
    return scorer
  }

  #isKept({ trafficLog }: RiskPolicy): boolean {
    return this.#options.traffic !== null && trafficLog !== null && this.#options.random() < trafficLog.share
  }
}

/** What one request has been through. */
class Course {
  readonly route: RiskRecord
  readonly policy: RiskPolicy
  readonly request: StagedRequest
  readonly isKept: boolean
  readonly steps: StepRecord[] = []
  /** What the first deployment said last: another one may find its words again. */
  said: string | null = null

  constructor(route: RiskRecord, request: StagedRequest, isKept: boolean) {
    this.route = route
    this.policy = route.policy
    this.request = request
    this.isKept = isKept
  }

  get hasLeft(): boolean {
    return this.request.inner.isCancelled
  }
}

/** Null: the deployment cannot take such a request; another one perhaps can. */
function understoodOf(request: StagedRequest, model: ModelRecord): Understood | null {
  try {
    return request.understand(model)
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

function unaskedStep(deployment: DeploymentName, cause: RiskCause): StepRecord {
  return {
    deployment,
    action: 'escalate',
    cause,
    score: null,
    threshold: null,
    isGuaranteed: false,
    answerMs: null,
    judgeMs: null,
  }
}
