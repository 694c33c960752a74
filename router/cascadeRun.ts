/**
 * One request's way through a cascade: ask a step → hold its answer → have it judged → decide → give it out, or ask the next.
 *
 * In shadow mode a second walk is made aside: it asks, judges and decides like the other, and nothing follows from it.
 * Nothing goes out before it is decided whose answer it is, and from then on the client sees one deployment's answer only. What a step
 * that failed or was doubted has said goes on as a hint, never as text of the answer. Ends quietly where the client has left.
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Cascades } from './cascade.ts'
import {
  type Cause,
  decideStep,
  type EscalationBudget,
  mayEscalate,
  newBudget,
  type StepDecision,
} from './core/cascade.ts'
import { outcomeOf } from './core/goodput.ts'
import { remainingMs } from './core/nextStep.ts'
import { stagedDecision, type StepRecord } from './core/route.ts'
import { judged } from './judge.ts'
import { type Decided, noDeployment } from './routing.ts'
import type { StagedRecord, StagedRequest, Understood } from './staged.ts'
import { answeredQuestions, askStep, type EnoughOf, type StepAnswer } from './stepAnswer.ts'

export type CascadeRoute = StagedRecord<'cascade'>
export type CascadeStep = CascadeRoute['policy']['steps'][number]
type Accepting = CascadeStep & { readonly accept: NonNullable<CascadeStep['accept']> }

/** `shadow`: nobody hears of it but the log and the metrics. */
export type RunMode = 'live' | 'shadow'

interface Scored {
  readonly score: number | null
  readonly judgeMs: number | null
}

const unasked = { score: null, judgeMs: null, answerMs: null }

export class CascadeRun {
  readonly #cascades: Cascades
  readonly #route: CascadeRoute
  readonly #request: StagedRequest
  readonly #mode: RunMode
  readonly #startedAt: number
  readonly #records: StepRecord[] = []
  /** What the steps and judges that were asked were allowed together, by their SLO. */
  #promisedMs = 0
  #isCounted = false
  #hasSpent = false
  /** The last answer that was whole and doubted: a hint for the next step, and the answer where that one fails and this is declared. */
  #doubted: StepAnswer | null = null

  constructor(cascades: Cascades, route: CascadeRoute, { request, mode }: { request: StagedRequest; mode: RunMode }) {
    this.#mode = mode
    this.#cascades = cascades
    this.#route = route
    this.#request = request
    this.#startedAt = cascades.clock.now()
  }

  start(): void {
    this.#walk().catch((error: unknown) => {
      if (error instanceof Failure) this.#fail(error)
      else if (this.#mode === 'shadow') this.#request.threwAside(error)
      else this.#request.threw(error)
    })
  }

  async #walk(): Promise<void> {
    for (const [index, step] of this.#route.policy.steps.entries()) {
      const { accept } = step
      const isOver = accept === null ? await this.#last(step) : await this.#try({ ...step, accept }, index)
      if (isOver) return
    }
  }

  /** A step whose answer may be kept. True: the request is over. */
  async #try(step: Accepting, index: number): Promise<boolean> {
    const model = this.#cascades.model(step.deployment)
    if (model === undefined) return this.#passOver(step, 'no-worker', noDeployment(this.#request.named.model))
    const understood = this.#understand(model)
    if (understood instanceof Failure) return this.#passOver(step, 'unfit', understood)
    // What nothing is proved of need not be asked; aside it is, because that is how its scores are seen before.
    if (this.#threshold(step) === null && (this.#mode === 'live' || step.accept.references.length === 0)) {
      const decision = this.#decide(step, index, { understood, score: null })
      this.#note(step, decision, unasked)
      return decision.kind === 'keep' ? this.#giveUnjudged(model, understood) : this.#follow(decision, null)
    }
    const answered = await this.#ask(model, understood, enoughFor(this.#route))
    if (this.#hasLeft) return true
    if (answered instanceof Failure) return this.#unanswered(step, answered)
    const scored = await this.#judge(step, answered)
    if (this.#hasLeft) return true
    const outcome = answered.held.outcome
    if (outcome?.kind === 'failed') {
      // One that outgrew what may be held is still being written, for nobody.
      answered.handle.cancel()
      return this.#unanswered(step, outcome.failure)
    }
    const decision = this.#decide(step, index, { understood, score: scored.score })
    this.#note(step, decision, { ...scored, answerMs: answered.answerMs })
    return this.#follow(decision, answered)
  }

  #follow(decision: StepDecision, answered: StepAnswer | null): boolean {
    switch (decision.kind) {
      case 'keep':
        if (answered !== null) this.#give(answered)
        return true
      case 'escalate':
        // Where it was judged early it is still being written, for nobody.
        answered?.handle.cancel()
        if (answered !== null) this.#doubted = answered
        if (decision.cause !== 'uncalibrated') this.#spend()
        return false
      case 'refuse':
        answered?.handle.cancel()
        this.#fail(noRoom(this.#route, decision.cause))
        return true
      default:
        return decision.kind satisfies never
    }
  }

  /** The last step, which keeps every answer: the first text goes straight to the client. */
  async #last(step: CascadeStep): Promise<boolean> {
    const cause = this.#route.policy.shadow ? 'shadow' : 'last-step'
    const keep: StepDecision = { kind: 'keep', cause, isGuaranteed: false }
    if (this.#mode === 'shadow') {
      this.#note(step, keep, unasked)
      this.#recordAside(step.deployment)
      return true
    }
    const model = this.#cascades.model(step.deployment)
    if (model === undefined) return this.#without(step, noDeployment(this.#request.named.model))
    const understood = this.#understand(model)
    if (understood instanceof Failure) return this.#without(step, understood)
    const answered = await this.#ask(model, understood, asItComes)
    if (this.#hasLeft) return true
    if (answered instanceof Failure) return this.#without(step, answered)
    this.#note(step, keep, unasked)
    this.#give(answered)
    return true
  }

  /** What cannot go on and is given all the same: nobody judges it, so nobody waits for its end. */
  async #giveUnjudged(model: ModelRecord, understood: Understood): Promise<boolean> {
    if (this.#mode === 'shadow') {
      this.#recordAside(model.deployment)
      return true
    }
    const answered = await this.#ask(model, understood, asItComes)
    if (this.#hasLeft) return true
    if (answered instanceof Failure) this.#fail(answered)
    else this.#give(answered)
    return true
  }

  /** The last step has failed: what was doubted is given where that is declared, else the failure. */
  #without(step: CascadeStep, failure: Failure): true {
    this.#note(step, { kind: 'refuse', cause: 'unanswered', isGuaranteed: false }, unasked)
    const instead = this.#doubted
    if (instead?.held.outcome?.kind !== 'completed' || this.#route.policy.whenFull !== 'answer') {
      this.#fail(failure)
      return true
    }
    this.#note(instead.model, { kind: 'keep', cause: 'next-failed', isGuaranteed: false }, unasked)
    this.#give(instead)
    return true
  }

  #unanswered(step: CascadeStep, failure: Failure): boolean {
    return this.#passOver(step, failure.code === 'context-exceeded' ? 'unfit' : 'unanswered', failure)
  }

  /**
   * The step gave nothing that could be judged: the next one is asked, within the budget. A failure that the next one would meet too is
   * the answer, and so is any where the budget is spent.
   */
  #passOver(step: CascadeStep, cause: Cause, failure: Failure): boolean {
    const isProved = this.#threshold(step) !== null
    const isWithin = !isProved || mayEscalate(this.#takeBudget())
    const goesOn = isWithin && !isOfTheRequest(failure)
    this.#note(step, { kind: goesOn ? 'escalate' : 'refuse', cause, isGuaranteed: false }, unasked)
    if (!goesOn) this.#fail(failure)
    else if (isProved) this.#spend()
    return !goesOn
  }

  /** The failure: this deployment cannot take the request, and the next one may. */
  #understand(model: ModelRecord): Understood | Failure {
    try {
      return this.#request.understand(model)
    } catch (error) {
      if (error instanceof Failure && !isOfTheRequest(error)) return error
      throw error
    }
  }

  async #ask(model: ModelRecord, understood: Understood, enough: EnoughOf): Promise<StepAnswer | Failure> {
    const parts = { inner: this.#request.inner, clock: this.#cascades.clock }
    const answer = await askStep(parts, { model, understood, enough, before: this.#doubted })
    if (!(answer instanceof Failure)) this.#promisedMs += answer.allowedMs
    return answer
  }

  async #judge({ accept, deployment }: Accepting, answer: StepAnswer): Promise<Scored> {
    const { inner } = this.#request
    const { clock, metrics } = this.#cascades
    const model = this.#cascades.model(accept.judge)
    const answered = answeredQuestions(answer)
    if (model === undefined || answered === null) return { score: null, judgeMs: null }
    const startedAt = clock.now()
    const score = await judged(inner, { model, references: accept.references, prior: accept.prior }, answered)
    const judgeMs = clock.now() - startedAt
    this.#promisedMs += model.slo.ttftMs
    const { route } = this.#route
    metrics.cascadeJudgeSeconds.observe({ route, judge: accept.judge }, judgeMs / 1_000)
    if (score !== null) metrics.cascadeScore.observe({ route, deployment }, score)
    return { score, judgeMs }
  }

  #decide(step: Accepting, index: number, known: { understood: Understood; score: number | null }): StepDecision {
    const { parsed } = known.understood
    const next = this.#nextModel(index)
    const decision = decideStep({
      score: known.score,
      threshold: this.#threshold(step),
      next: { firstTokenMs: next === null ? null : this.#cascades.firstTokenMs(next, parsed) },
      remainingMs: remainingMs(
        { spentMs: this.#promisedMs, nextTtftMs: next?.slo.ttftMs ?? 0 },
        {
          elapsedMs: this.#cascades.clock.now() - this.#request.arrivedAt,
          deadlineLeftMs: this.#request.inner.remainingMs,
        },
      ),
      budget: this.#takeBudget(),
      whenFull: this.#route.policy.whenFull,
    })
    // What was calibrated are single answers: of several the least is compared, which nobody has labelled.
    const isSingle = parsed.works.length * parsed.choices === 1
    return isSingle ? decision : { ...decision, isGuaranteed: false }
  }

  /** It counts requests that go on, however far: one that did once may go to the end. */
  #takeBudget(): EscalationBudget {
    if (!this.#isCounted) this.#cascades.cameToDecide(this.#route)
    this.#isCounted = true
    return this.#hasSpent ? newBudget(1) : this.#cascades.budget(this.#route)
  }

  #spend(): void {
    if (!this.#hasSpent) this.#cascades.escalated(this.#route)
    this.#hasSpent = true
  }

  #threshold({ deployment, accept }: CascadeStep): number | null {
    return this.#cascades.threshold(deployment, accept)
  }

  /** Null: there is no deployment behind it that exists. */
  #nextModel(index: number): ModelRecord | null {
    const next = this.#route.policy.steps[index + 1]
    return next === undefined ? null : (this.#cascades.model(next.deployment) ?? null)
  }

  #note(
    step: Pick<CascadeStep, 'deployment'> & Partial<Pick<CascadeStep, 'accept'>>,
    { kind, cause, isGuaranteed }: StepDecision,
    measured: Scored & { answerMs: number | null },
  ): void {
    const { route } = this.#route
    const { deployment, accept = null } = step
    const threshold = this.#cascades.threshold(deployment, accept)
    const guaranteed = isGuaranteed ? 'true' : 'false'
    this.#cascades.metrics.cascadeSteps.inc({ route, deployment, action: kind, cause, guaranteed, mode: this.#mode })
    this.#records.push({ deployment, action: kind, cause, threshold, isGuaranteed, ...measured })
    const { score } = measured
    const { id, tenant } = this.#request.named
    if (this.#mode === 'shadow' || !isGuaranteed || score === null || accept?.guarantee.kind !== 'holds') return
    this.#cascades.kept({ request: id, tenant, route, deployment, calibration: accept.guarantee.calibration, score })
  }

  #give({ model, understood, held, handle }: StepAnswer): void {
    if (this.#mode === 'shadow') {
      handle.cancel()
      this.#recordAside(model.deployment)
      return
    }
    const decided = this.#decided(model.deployment)
    this.#cascades.record(this.#request.named, decided)
    held.release(this.#request.answer(decided, understood))
  }

  #fail(failure: Failure): void {
    if (this.#mode === 'shadow') {
      this.#recordAside(null)
      return
    }
    const decided = this.#decided(null)
    this.#cascades.record(this.#request.named, decided)
    this.#request.fail(decided, failure)
  }

  #recordAside(deployment: DeploymentName | null): void {
    this.#cascades.recordAside(this.#request.named, this.#decided(deployment))
  }

  #decided(deployment: DeploymentName | null): Decided {
    const steps = this.#records
    return {
      decision: stagedDecision(this.#route, { deployment, steps, fallback: 'unanswered' }),
      record: deployment === null ? null : (this.#cascades.model(deployment) ?? null),
      tookMs: this.#cascades.clock.now() - this.#startedAt,
    }
  }

  get #hasLeft(): boolean {
    return this.#request.inner.isCancelled
  }
}

const asItComes: EnoughOf = { kind: 'as-it-comes' }

function enoughFor({ policy: { streaming } }: CascadeRoute): EnoughOf {
  return streaming.mode === 'early' ? { kind: 'first-tokens', tokens: streaming.tokens } : { kind: 'whole' }
}

/** The client's own doing; every deployment would say the same of it. */
function isOfTheRequest({ code }: Failure): boolean {
  return outcomeOf(code) === 'invalid' && code !== 'context-exceeded' && code !== 'unsupported'
}

function noRoom({ name }: CascadeRoute, cause: Cause): Failure {
  const message = `the answer to '${name}' was not good enough, and no better one can be had now (${cause}); try again shortly`
  return new Failure('refused', message, {
    retry: { kind: 'after', afterMs: limits.queue.retryAfterMsDefault },
  })
}
