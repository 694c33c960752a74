/**
 * The resources of the files as the desired state of each deployment. Pure.
 *
 * What a cluster's API server does is done here: a generation that counts changes of the spec, and an age by which the older
 * of two claims on a name wins.
 */
import { DeploymentName } from '#contracts/ids.ts'
import type { ModelDeployment, ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { grantNames } from '../core/names.ts'
import type { Desired } from '../core/observed.ts'
import { canonicalJson, revisionOf } from '../core/revision.ts'

/** One deployment as it stands in memory; the order of a list of them is their age. */
export interface Known {
  readonly name: DeploymentName
  readonly generation: number
  readonly spec: ModelDeploymentSpec
  readonly created: number
}

/** `before` in order of age, the oldest first; new ones come after it, in the order of the files. */
export function merge(before: readonly Known[], now: readonly ModelDeployment[], epochSeconds: number): Known[] {
  const wanted = new Map(now.map((resource) => [resource.metadata.name, resource]))
  const kept = before.flatMap((known) => {
    const resource = wanted.get(known.name)
    if (resource === undefined) return []
    const same = canonicalJson(resource.spec) === canonicalJson(known.spec)
    return [same ? known : { ...known, spec: resource.spec, generation: known.generation + 1 }]
  })
  const names = new Set<string>(before.map(({ name }) => name))
  const added = now.filter(({ metadata }) => !names.has(metadata.name))
  return [...kept, ...added.map((resource) => first(resource, epochSeconds))]
}

function first(resource: ModelDeployment, epochSeconds: number): Known {
  const name = DeploymentName.parse(resource.metadata.name)
  return { name, generation: 1, spec: resource.spec, created: epochSeconds }
}

export function desiredOf(deployments: readonly Known[]): ReadonlyMap<DeploymentName, Desired> {
  const granted = grantNames(deployments.map(({ name, spec }) => ({ name, servedNames: spec.servedNames })))
  return new Map(
    deployments.map(({ name, generation, spec, created }) => [
      name,
      {
        generation,
        revision: revisionOf(spec),
        spec,
        created,
        ...(granted.get(name) ?? { servedNames: [name], conflicts: [] }),
      },
    ]),
  )
}
