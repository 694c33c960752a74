/**
 * The routes of the local platform: what the files say of them, and how they stand, in memory. Sole writer of their statuses.
 */
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import type { CalibrationSources } from '../core/calibrations.ts'
import { routeRecordOf } from '../core/routePolicy.ts'
import { type RouteState, routeStatusOf, type Standing } from '../core/routeStatus.ts'
import type { Labels } from '../labels.ts'
import type { DesiredRoute } from './desired.ts'

/** What a calibration is judged by, beside labels. */
export type FileSources = Omit<CalibrationSources, 'labelsOf'>

export class LocalRoutes {
  readonly #labels: Labels
  #wanted: readonly DesiredRoute[] = []
  #sources: FileSources = { configMap: () => null, servedBy: () => null }
  #statuses: ReadonlyMap<string, ModelRouteStatus> = new Map()

  constructor(labels: Labels) {
    this.#labels = labels
  }

  set(wanted: readonly DesiredRoute[], sources: FileSources): void {
    const names = new Set(wanted.map(({ route }) => route.name))
    for (const { route } of this.#wanted) if (!names.has(route.name)) this.#labels.forget(route.name)
    this.#wanted = wanted
    this.#sources = sources
  }

  /** `standingOf`: of what is a deployment; null where there is none of that name. */
  judge(standingOf: (deployment: string) => 'ready' | 'not-ready' | null, nowIso: string): void {
    const names = new Set(this.#wanted.flatMap(({ route }) => [route.name, route.spec?.name]))
    const standing = (name: string): Standing => standingOf(name) ?? (names.has(name) ? 'route' : 'missing')
    this.#statuses = new Map(
      this.#wanted.map(({ route, conflict }) => {
        const deployments = new Map(route.deployments.map((name) => [name, standing(name)]))
        const before = this.#statuses.get(route.name) ?? null
        const sources = this.#sourcesOf(route.name)
        return [route.name, routeStatusOf({ route, deployments, conflict, sources }, before, nowIso)]
      }),
    )
  }

  states(): RouteState[] {
    return this.#wanted.map(({ route, conflict }) => ({
      route,
      record: routeRecordOf(route, conflict, this.#sourcesOf(route.name)),
      status: this.#statuses.get(route.name) ?? null,
    }))
  }

  #sourcesOf(route: string): CalibrationSources {
    const before = this.#statuses.get(route) ?? null
    return { ...this.#sources, labelsOf: (step) => this.#labels.figuresOf(route, step, before) }
  }
}
