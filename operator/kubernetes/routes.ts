/**
 * ModelRoutes in a cluster: each is judged when it, a deployment that it names, or the owner of its name changes, and its status is
 * written when it says something else than before. Sole writer of it; nothing else of a route is ours. What routers are told of them is
 * read here (`states`) and published elsewhere.
 */
import { isDeepStrictEqual } from 'node:util'
import { Failure } from '#contracts/failure.ts'
import { configMapsOf, ModelRouteStatus, restsOnCalibration } from '#contracts/resources/modelRoute.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { CalibrationSources } from '../core/calibrations.ts'
import type { NameConflict, NameOwner } from '../core/observed.ts'
import { routeRecordOf } from '../core/routePolicy.ts'
import { type KnownRoute, readRoute, type RouteState, routeStatusOf, type Standing } from '../core/routeStatus.ts'
import type { Labels } from '../labels.ts'
import { createQueue, type Queue, type Requeue } from '../queue.ts'
import type { KubernetesClient } from './client.ts'
import type { NameClaims } from './core/claims.ts'
import { createdOf } from './core/deployments.ts'
import { isDeleting, nameOf, resources, type RouteObject, uidOf } from './core/objects.ts'
import { occurrencesOf } from './core/occurrences.ts'
import type { EventRecorder } from './events.ts'
import type { Reflector } from './reflector.ts'
import type { Change } from './watches.ts'

export interface RoutesOptions {
  readonly client: KubernetesClient
  readonly routes: Reflector<RouteObject>
  readonly names: NameClaims
  readonly recorder: EventRecorder
  readonly clock: Clock
  /** The wall clock, which only people read. */
  readonly nowIso: () => string
  readonly random: () => number
  readonly log: Log
  readonly standingOf: (deployment: string) => Standing
  readonly configMap: CalibrationSources['configMap']
  readonly servedBy: CalibrationSources['servedBy']
  readonly labels: Labels
  /** These may have more or fewer names now. */
  readonly onNames: (owners: readonly NameOwner[]) => void
  /** What routers are told of routes may have changed. */
  readonly onRoutes: () => void
}

export class Routes {
  readonly #options: RoutesOptions
  readonly #known = new Map<string, KnownRoute>()
  readonly #queue: Queue<string>
  /** Before everything is known a deployment that was not listed yet would be taken for a missing one. */
  #begun = false

  constructor(options: RoutesOptions) {
    this.#options = options
    const { clock, random } = options
    this.#queue = createQueue<string>({ clock, random, run: (name) => this.#run(name) })
  }

  begin(): void {
    this.#begun = true
    for (const name of this.#known.keys()) this.#queue.add(name)
  }

  /** Every route, as it was last judged. */
  states(): RouteState[] {
    return [...this.#known.values()].map((route) => {
      const status = this.#statusOf(route.name)
      const record = routeRecordOf(route, this.#conflictOf(route.name), this.#sourcesOf(route.name, status))
      return { route, record, status }
    })
  }

  stop(): Promise<void> {
    return this.#queue.stop()
  }

  /** From the watch of ModelRoutes. */
  changed(name: string, { now }: Change<RouteObject>): void {
    const { names, onNames } = this.#options
    const before = this.#known.get(name)
    if (now === undefined || isDeleting(now)) {
      this.#known.delete(name)
      this.#options.labels.forget(name)
      onNames(names.remove({ kind: 'route', name }))
      this.#nameChanged(name, before)
      return
    }
    const route = readRoute(name, { generation: now.metadata?.generation ?? 0, created: createdOf(now) }, now.spec)
    this.#known.set(name, route)
    const created = now.metadata?.creationTimestamp ?? ''
    const servedNames = route.spec === null ? [] : [route.spec.name]
    onNames(names.set({ kind: 'route', name, servedNames, created }))
    this.#nameChanged(name, before)
    this.look(name)
  }

  /** Something about this deployment changed. */
  deploymentChanged(deployment: string): void {
    if (!this.#begun) return
    for (const route of this.#known.values()) {
      if (!route.deployments.includes(deployment)) continue
      this.#queue.add(route.name)
      // A calibration is one of a model: another one makes it stale.
      if (route.spec !== null && restsOnCalibration(route.spec)) this.#options.onRoutes()
    }
  }

  /** From the watch of calibrations. */
  configMapChanged(configMap: string): void {
    for (const { name, spec } of this.#known.values())
      if (spec !== null && configMapsOf(spec).includes(configMap)) this.look(name)
  }

  /** Whose its name is may have changed. */
  look(name: string): void {
    if (!this.#begun) return
    if (this.#known.has(name)) this.#queue.add(name)
    this.#options.onRoutes()
  }

  /** Others may name this route in the place of a deployment, by either of its names. */
  #nameChanged(name: string, before: KnownRoute | undefined): void {
    if (!this.#begun) return
    for (const own of new Set([name, before?.spec?.name, this.#known.get(name)?.spec?.name]))
      if (own !== undefined) this.deploymentChanged(own)
    this.#options.onRoutes()
  }

  #standingOf(deployment: string): Standing {
    const standing = this.#options.standingOf(deployment)
    if (standing !== 'missing') return standing
    const isRoute = [...this.#known.values()].some(({ name, spec }) => name === deployment || spec?.name === deployment)
    return isRoute ? 'route' : 'missing'
  }

  #statusOf(name: string): ModelRouteStatus | null {
    return ModelRouteStatus.safeParse(this.#options.routes.get(name)?.status).data ?? null
  }

  #sourcesOf(route: string, before: ModelRouteStatus | null): CalibrationSources {
    const { configMap, servedBy, labels } = this.#options
    return { configMap, servedBy, labelsOf: (step) => labels.figuresOf(route, step, before) }
  }

  #conflictOf(name: string): NameConflict | null {
    return this.#options.names.grantOf({ kind: 'route', name }).conflicts[0] ?? null
  }

  async #run(name: string): Promise<Requeue> {
    try {
      await this.#judge(name)
      return { kind: 'await-change' }
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#options.log.warn({ route: name, error }, 'the status of a route is not written yet')
      return { kind: 'back-off', reason: error.message }
    }
  }

  async #judge(name: string): Promise<void> {
    const { client, routes, nowIso, recorder } = this.#options
    const object = routes.get(name)
    const route = this.#known.get(name)
    if (object === undefined || route === undefined) return
    const deployments = new Map(route.deployments.map((deployment) => [deployment, this.#standingOf(deployment)]))
    const conflict = this.#conflictOf(name)
    const before = this.#statusOf(name)
    const sources = this.#sourcesOf(name, before)
    const status = routeStatusOf({ route, deployments, conflict, sources }, before, nowIso())
    if (isDeepStrictEqual(status, before)) return
    const wanted = { metadata: { name: nameOf(object), uid: uidOf(object) }, status }
    const applied = await client.apply(resources.routes, wanted, 'status')
    if (applied === null) return
    routes.remember(applied)
    for (const occurrence of occurrencesOf(before, status)) recorder.say(object, occurrence)
  }
}
