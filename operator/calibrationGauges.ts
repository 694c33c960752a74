/** The operator's figures of the calibrations of routes: set from their statuses whenever somebody asks for the page. */
import type { StepCalibration } from '#contracts/resources/modelRoute.ts'
import type { RouteState } from './core/routeStatus.ts'
import type { OperatorMetrics } from './metrics.ts'

type Gauge = {
  set(labels: { route: string; deployment: string }, value: number): void
  remove(labels: { route: string; deployment: string }): void
}

export class CalibrationGauges {
  readonly #metrics: OperatorMetrics
  #shown: ReadonlyMap<string, { route: string; deployment: string }> = new Map()

  constructor(metrics: OperatorMetrics) {
    this.#metrics = metrics
  }

  update(routes: readonly RouteState[]): void {
    const steps = routes.flatMap(({ route, status }) =>
      (status?.calibrations ?? []).map((step) => ({
        labels: { route: route.name, deployment: step.deployment },
        step,
      })),
    )
    const there = new Map(steps.map(({ labels }) => [`${labels.route} ${labels.deployment}`, labels]))
    for (const [key, labels] of this.#shown) if (!there.has(key)) this.#remove(labels)
    this.#shown = there
    for (const { labels, step } of steps) this.#show(labels, step)
  }

  #show(labels: { route: string; deployment: string }, step: StepCalibration): void {
    const { routeGuarantee, routeThreshold, routeCalibratedErrorRate, routeCalibratedKeptShare, routeAlarmShare } =
      this.#metrics
    const { threshold, errorRate, keptShare, alarm, state } = step
    routeGuarantee.set(labels, state === 'Holds' ? 1 : 0)
    setOrRemove(routeThreshold, labels, threshold)
    setOrRemove(routeCalibratedKeptShare, labels, keptShare)
    setOrRemove(routeAlarmShare, labels, alarm === undefined ? undefined : alarm.sum / alarm.at)
    for (const bound of ['lower', 'upper'] as const) {
      const value = errorRate?.[bound]
      if (value === undefined) routeCalibratedErrorRate.remove({ ...labels, bound })
      else routeCalibratedErrorRate.set({ ...labels, bound }, value)
    }
  }

  #remove(labels: { route: string; deployment: string }): void {
    const { routeGuarantee, routeThreshold, routeCalibratedErrorRate, routeCalibratedKeptShare, routeAlarmShare } =
      this.#metrics
    for (const gauge of [routeGuarantee, routeThreshold, routeCalibratedKeptShare, routeAlarmShare])
      gauge.remove(labels)
    for (const bound of ['lower', 'upper']) routeCalibratedErrorRate.remove({ ...labels, bound })
  }
}

function setOrRemove(gauge: Gauge, labels: { route: string; deployment: string }, value: number | undefined): void {
  if (value === undefined) gauge.remove(labels)
  else gauge.set(labels, value)
}
