/**
 * Which pairs use which content, so that a volume is owned by exactly those. Kept up to date one pair at a time.
 *
 * A pair uses the files of what it asks for and of what it could go back to; both may name the same.
 */
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import { labels, ownerOf, type OwnerReference } from './core/names.ts'
import type { ClusterModels } from './models.ts'
import { type ApiObject, isDeleting, type Job, resources } from './core/objects.ts'
import type { ClusterPlatform } from './platform.ts'
import type { Change } from './watches.ts'

export interface ModelUseOptions {
  readonly models: () => ClusterModels
  readonly platform: () => ClusterPlatform
}

export class ModelUse {
  readonly #options: ModelUseOptions
  readonly #users = new Map<string, Set<string>>()
  readonly #used = new Map<string, ReadonlySet<string>>()
  /** Contents by the start of their SHA-256, as labels have it. */
  readonly #known = new Map<string, string>()
  /** No longer used by this pair: their owners have to be changed, or they go. */
  readonly #left = new Map<string, Set<string>>()

  constructor(options: ModelUseOptions) {
    this.#options = options
  }

  /** What this pair uses from now on; none: it is gone. */
  set(name: string, files: readonly ModelFile[]): void {
    const before = this.#used.get(name) ?? new Set<string>()
    const now = new Set(files.map(({ sha256 }) => sha256))
    if (before.size === now.size && [...now].every((sha256) => before.has(sha256))) return
    if (now.size === 0) this.#used.delete(name)
    else this.#used.set(name, now)
    for (const sha256 of before) if (!now.has(sha256)) this.#users.get(sha256)?.delete(name)
    for (const sha256 of now) this.#add(sha256, name)
    const left = this.#left.get(name) ?? new Set()
    this.#left.set(name, new Set([...left, ...before].filter((sha256) => !now.has(sha256))))
  }

  /** Volumes of this pair are owned by who uses them; those that nobody uses any more go. */
  async upkeep(name: string): Promise<void> {
    await this.#options.models().upkeep([...(this.#used.get(name) ?? []), ...(this.#left.get(name) ?? [])])
    this.#left.delete(name)
  }

  ownersOf(sha256: string): OwnerReference[] {
    return [...(this.#users.get(sha256) ?? [])].sort().flatMap((name) => {
      const object = this.#options.platform().deploymentOf(name)?.object
      return object === undefined || isDeleting(object) ? [] : [ownerOf(object, resources.deployments, false)]
    })
  }

  /** A volume, a fetch or a pod of one changed: told to the pairs that use it. */
  changed(object: ApiObject, { now }: Change<ApiObject>): void {
    if (now === undefined && object.kind === 'Job') this.#options.models().forget(object as Job)
    const short = object.metadata?.labels?.[labels.model]
    const sha256 = short === undefined ? undefined : this.#known.get(short)
    if (sha256 === undefined) return
    for (const name of this.#users.get(sha256) ?? []) this.#options.platform().announce(name)
  }

  #add(sha256: string, name: string): void {
    const users = this.#users.get(sha256) ?? new Set<string>()
    this.#users.set(sha256, users)
    users.add(name)
    this.#known.set(sha256.slice(0, 16), sha256)
  }
}
