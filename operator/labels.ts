/**
 * Labels that routers pass on, folded to what they say of each step's calibration. Sole writer of that picture.
 *
 * Whoever leads next goes on from the status, which is written now and then: of the labels since the last write it knows nothing, which
 * delays an alarm and never takes one back. A route's record is made anew at once when a calibration breaks.
 *
 * Whoever asks is shown figures that stand still between two tellings: a status that followed each label would be written without end.
 */
import { type ErrorWatch, planWatch } from '#algorithms/errorWatch.ts'
import { type CascadeCalibration, calibrationDigest } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { RouteLabel } from '#contracts/messages.ts'
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode } from '#runtime/messages.ts'
import { figuresIn, type LabelFigures, newFigures, withLabel } from './core/labelWatch.ts'

export interface LabelsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly onLabel: (label: RouteLabel) => void
}

interface Watched {
  readonly plan: ErrorWatch
  figures: LabelFigures
  /** As they were when they were last told. */
  shown: LabelFigures
  toldAt: number
  /** Tells of what came since; at most one. */
  timer: Timer | null
}

export class Labels {
  readonly #options: LabelsOptions
  /** By route, then by step. */
  readonly #routes = new Map<string, Map<string, Watched>>()
  /** Planning solves a chain of thousands of states; what routes promise hardly ever changes. */
  readonly #plans = new Map<number, ErrorWatch>()
  /** Something of this route should be judged again. */
  onChange: (route: string) => void = () => undefined

  constructor(options: LabelsOptions) {
    this.#options = options
  }

  attach(bus: Bus): void {
    bus.subscribe(subjects.allRouteLabels, (payload) => this.#understood(() => this.take(decode(RouteLabel, payload))))
  }

  /** Of one calibration of a route's step; `before` is what its status said last. From here on its labels count. */
  figuresOf(
    route: string,
    step: { readonly deployment: string; readonly calibration: CascadeCalibration },
    before: ModelRouteStatus | null,
  ): LabelFigures | null {
    const { deployment, calibration } = step
    if (calibration.threshold === null) return null
    const digest = calibrationDigest(calibration)
    const steps = this.#routes.get(route) ?? new Map<string, Watched>()
    this.#routes.set(route, steps)
    const known = steps.get(deployment)
    if (known?.figures.calibration === digest) return known.shown
    known?.timer?.cancel()
    const plan = this.#planFor(calibration.errorRateMax)
    const kept = figuresIn(
      before?.calibrations?.find((each) => each.deployment === deployment),
      digest,
    )
    const figures = kept ?? newFigures(digest, plan)
    steps.set(deployment, { plan, figures, shown: figures, toldAt: this.#options.clock.now(), timer: null })
    return figures
  }

  /** The route is gone. */
  forget(route: string): void {
    for (const { timer } of this.#routes.get(route)?.values() ?? []) timer?.cancel()
    this.#routes.delete(route)
  }

  /** Nothing more is told. */
  close(): void {
    for (const route of this.#routes.keys()) this.forget(route)
  }

  take(label: RouteLabel): void {
    const watched = this.#routes.get(label.route)?.get(label.deployment)
    // Of a route that is gone, or of a calibration that was replaced since.
    if (watched === undefined || watched.figures.calibration !== label.calibration) return
    const before = watched.figures
    watched.figures = withLabel(before, watched.plan, !label.correct)
    this.#options.onLabel(label)
    const broke = watched.figures.broken && !before.broken
    if (broke)
      this.#options.log.warn(
        { route: label.route, deployment: label.deployment, ...watched.figures },
        'labels speak against a calibration; everything is escalated',
      )
    const { clock } = this.#options
    const waitMs = broke ? 0 : watched.toldAt + limits.calibration.labelStatusMs - clock.now()
    if (waitMs <= 0) this.#show(label.route, watched)
    else watched.timer ??= clock.after(waitMs, () => this.#show(label.route, watched))
  }

  #show(route: string, watched: Watched): void {
    watched.timer?.cancel()
    watched.timer = null
    watched.shown = watched.figures
    watched.toldAt = this.#options.clock.now()
    this.onChange(route)
  }

  #planFor(errorRateMax: number): ErrorWatch {
    const known = this.#plans.get(errorRateMax)
    if (known !== undefined) return known
    const plan = planWatch({ errorRateMax, falseAlarmLabels: limits.calibration.falseAlarmLabels })
    const [oldest] = this.#plans.keys()
    if (this.#plans.size >= limits.calibration.watchPlansMax && oldest !== undefined) this.#plans.delete(oldest)
    this.#plans.set(errorRateMax, plan)
    return plan
  }

  #understood(take: () => void): void {
    try {
      take()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#options.log.warn({ error }, 'a label is not understood and ignored')
    }
  }
}
