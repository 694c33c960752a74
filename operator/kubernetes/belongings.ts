/** Keeps what stands beside a pair's workers as it should be: Service, disruption budget, revision history. Writes only on a difference. */
import type { DeploymentName } from '#contracts/ids.ts'
import type { RevisionHistory } from '../core/revision.ts'
import type { KubernetesClient } from './client.ts'
import { disruptionBudget, historyMap, historyOf, type Owned, workersService } from './core/belongings.ts'
import { covers } from './core/covers.ts'
import { historyName, ownerOf } from './core/names.ts'
import type { PodPlace } from './core/podSpec.ts'
import {
  type ApiObject,
  type ConfigMap,
  type DeploymentObject,
  isDeleting,
  nameOf,
  type Resource,
  resources,
} from './core/objects.ts'
import type { Reflector } from './reflector.ts'
import type { Watches } from './watches.ts'

export interface BelongingsOptions {
  readonly client: KubernetesClient
  readonly watches: Watches
  readonly place: PodPlace
}

export class Belongings {
  readonly #options: BelongingsOptions
  readonly #histories = new WeakMap<ConfigMap, RevisionHistory>()

  constructor(options: BelongingsOptions) {
    this.#options = options
  }

  /** `replicas`: how many workers are wanted now. */
  async upkeep(name: DeploymentName, object: DeploymentObject, replicas: number): Promise<void> {
    const { watches, place } = this.#options
    const owned = ownedBy(name, object)
    await this.#ensure(resources.services, watches.services, workersService(owned, place.config))
    await this.#ensure(resources.budgets, watches.budgets, disruptionBudget(owned, replicas))
  }

  historyOf(name: string): RevisionHistory {
    const map = this.#options.watches.configMaps.get(historyName(name))
    if (map === undefined) return []
    const known = this.#histories.get(map) ?? historyOf(map)
    this.#histories.set(map, known)
    return known
  }

  async writeHistory(name: DeploymentName, object: DeploymentObject, history: RevisionHistory): Promise<void> {
    await this.#ensure(
      resources.configMaps,
      this.#options.watches.configMaps,
      historyMap(ownedBy(name, object), history),
    )
  }

  async #ensure<T extends ApiObject>(resource: Resource<T>, cache: Reflector<T>, wanted: T): Promise<void> {
    const have = cache.get(nameOf(wanted))
    // One that is going comes back as soon as it has gone: its end is an event.
    if (have !== undefined && (isDeleting(have) || covers(have, wanted))) return
    const applied = await this.#options.client.apply(resource, wanted)
    if (applied !== null) cache.remember(applied)
  }
}

function ownedBy(deployment: DeploymentName, object: DeploymentObject): Owned {
  return { deployment, owner: ownerOf(object, resources.deployments, true) }
}
