/**
 * The routes of the local platform: what the files say of them, and how they stand, in memory. Sole writer of their statuses.
 */
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { type RouteState, routeRecordOf, routeStatusOf, type Standing } from '../core/routeStatus.ts'
import type { DesiredRoute } from './desired.ts'

export class LocalRoutes {
  #wanted: readonly DesiredRoute[] = []
  #statuses: ReadonlyMap<string, ModelRouteStatus> = new Map()

  set(wanted: readonly DesiredRoute[]): void {
    this.#wanted = wanted
  }

  /** `standingOf`: of what is a deployment; null where there is none of that name. */
  judge(standingOf: (deployment: string) => 'ready' | 'not-ready' | null, nowIso: string): void {
    const names = new Set(this.#wanted.flatMap(({ route }) => [route.name, route.spec?.name]))
    const standing = (name: string): Standing => standingOf(name) ?? (names.has(name) ? 'route' : 'missing')
    this.#statuses = new Map(
      this.#wanted.map(({ route, conflict }) => {
        const deployments = new Map(route.deployments.map((name) => [name, standing(name)]))
        const before = this.#statuses.get(route.name) ?? null
        return [route.name, routeStatusOf({ route, deployments, conflict }, before, nowIso)]
      }),
    )
  }

  states(): RouteState[] {
    return this.#wanted.map(({ route, conflict }) => ({
      route,
      record: routeRecordOf(route, conflict),
      status: this.#statuses.get(route.name) ?? null,
    }))
  }
}
