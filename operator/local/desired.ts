/**
 * The resources of the files as the desired state of each deployment and route. Pure.
 *
 * What a cluster's API server does is done here: a generation that counts changes of the spec, and an age by which the older
 * of two claims on a name wins.
 */
import { DeploymentName } from '#contracts/ids.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { deploymentsOf, type ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { type GrantedNames, grantNames } from '../core/names.ts'
import type { Desired, NameConflict, NameOwner } from '../core/observed.ts'
import { canonicalJson, revisionOf } from '../core/revision.ts'
import type { KnownRoute } from '../core/routeStatus.ts'
import type { Resources } from './resources.ts'

interface KnownOf<Kind extends NameOwner['kind'], Spec> {
  readonly kind: Kind
  readonly name: string
  readonly generation: number
  readonly spec: Spec
  readonly created: number
}

/** One resource as it stands in memory; the order of a list of them is their age. */
export type Known = KnownOf<'deployment', ModelDeploymentSpec> | KnownOf<'route', ModelRouteSpec>

export interface DesiredRoute {
  readonly route: KnownRoute
  /** Who has its name; null: the route. */
  readonly conflict: NameConflict | null
}

export interface DesiredState {
  readonly deployments: ReadonlyMap<DeploymentName, Desired>
  readonly routes: readonly DesiredRoute[]
}

/** `before` in order of age, the oldest first; new ones come after it: deployments, then routes, each in the order of the files. */
export function merge(
  before: readonly Known[],
  now: Pick<Resources, 'deployments' | 'routes'>,
  epochSeconds: number,
): Known[] {
  const wanted: Known[] = [
    ...now.deployments.map(({ metadata, spec }) => first({ kind: 'deployment', name: metadata.name, spec })),
    ...now.routes.map(({ metadata, spec }) => first({ kind: 'route', name: metadata.name, spec })),
  ]
  const byKey = new Map(wanted.map((known) => [keyOf(known), known]))
  const kept = before.flatMap((known) => {
    const fresh = byKey.get(keyOf(known))
    if (fresh === undefined) return []
    const same = canonicalJson(fresh.spec) === canonicalJson(known.spec)
    return [same ? known : { ...fresh, created: known.created, generation: known.generation + 1 }]
  })
  const old = new Set(before.map(keyOf))
  return [...kept, ...wanted.filter((known) => !old.has(keyOf(known)))]

  function first<const K extends object>(resource: K) {
    return { ...resource, generation: 1, created: epochSeconds }
  }
}

/** A route that stands for another name is another route: its age must not win names that it never had. */
const keyOf = (known: Known) =>
  known.kind === 'route' ? `route ${known.name} ${known.spec.name}` : `deployment ${known.name}`

export function desiredOf(known: readonly Known[]): DesiredState {
  const granted = grantNames(known.map(claimOf))
  const deployments = known.flatMap((each, i): [DeploymentName, Desired][] =>
    each.kind === 'deployment' ? [[DeploymentName.parse(each.name), desiredDeployment(each, granted[i])]] : [],
  )
  const routes = known.flatMap((each, i): DesiredRoute[] =>
    each.kind === 'route' ? [{ route: routeOf(each), conflict: granted[i]?.conflicts[0] ?? null }] : [],
  )
  return { deployments: new Map(deployments), routes }
}

function claimOf(known: Known) {
  const { kind, name } = known
  return { kind, name, servedNames: known.kind === 'route' ? [known.spec.name] : known.spec.servedNames }
}

function desiredDeployment(
  { name, generation, spec, created }: Extract<Known, { kind: 'deployment' }>,
  names: GrantedNames = { servedNames: [name], conflicts: [] },
): Desired {
  return { generation, revision: revisionOf(spec), spec, created, ...names }
}

function routeOf({ name, generation, spec, created }: Extract<Known, { kind: 'route' }>): KnownRoute {
  return { name, generation, created, spec, deployments: deploymentsOf(spec), problems: [] }
}
