/**
 * The server's objects of one kind as far as we know them, folded from lists, watch events and the answers to our own writes.
 *
 * Everything before `seen` has been told: an answer to a write is newer than that and is taken at once, so that nobody decides
 * on a state from before the own write; or it is not, and then the watch has already told it (and maybe its end), and it is
 * dropped. Whatever the order, the cache is never behind what it was given and ends equal to the server. Pure but for its memory.
 */
import { type ApiObject, compareVersions, nameOf, versionOf } from './objects.ts'

export type CacheEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export class ObjectCache<T extends ApiObject> {
  #objects = new Map<string, T>()
  #seen = ''
  /** Names written since the list under way began; null: none is. */
  #writtenDuringList: Set<string> | null = null

  get size(): number {
    return this.#objects.size
  }

  /** Where a watch goes on. */
  get seen(): string {
    return this.#seen
  }

  get(name: string): T | undefined {
    return this.#objects.get(name)
  }

  values(): IterableIterator<T> {
    return this.#objects.values()
  }

  names(): IterableIterator<string> {
    return this.#objects.keys()
  }

  beginList(): void {
    this.#writtenDuringList = new Set()
  }

  /** The complete list at one version. Gives the names of what differs. */
  finishList(items: readonly T[], resourceVersion: string): string[] {
    const next = new Map(items.map((item) => [nameOf(item), item]))
    for (const name of this.#writtenDuringList ?? []) {
      const held = this.#objects.get(name)
      // Written after the server had read its list. What was written before it began, and is not in it, is gone.
      if (held !== undefined && compareVersions(versionOf(held), resourceVersion) > 0) next.set(name, held)
    }
    const before = this.#objects
    this.#objects = next
    this.#seen = resourceVersion
    this.#writtenDuringList = null
    const names = new Set([...before.keys(), ...next.keys()])
    return [...names].filter((name) => differs(before.get(name), next.get(name)))
  }

  /** The name of what changed; null: nothing did. */
  take(event: CacheEvent<T>): string | null {
    if (event.type === 'BOOKMARK') {
      this.#see(event.resourceVersion)
      return null
    }
    const version = versionOf(event.object)
    const name = nameOf(event.object)
    const held = this.#objects.get(name)
    const isNews = held === undefined || compareVersions(version, versionOf(held)) >= 0
    this.#see(version)
    if (!isNews) return null
    if (event.type === 'DELETED') return this.#objects.delete(name) ? name : null
    this.#objects.set(name, event.object)
    return differs(held, event.object) ? name : null
  }

  /** The answer to an own write. The name of what changed; null: it was known. */
  remember(object: T): string | null {
    const version = versionOf(object)
    const name = nameOf(object)
    const held = this.#objects.get(name)
    if (compareVersions(version, this.#seen) <= 0) return null
    if (held !== undefined && compareVersions(version, versionOf(held)) <= 0) return null
    this.#objects.set(name, object)
    this.#writtenDuringList?.add(name)
    return name
  }

  #see(version: string): void {
    if (compareVersions(version, this.#seen) > 0) this.#seen = version
  }
}

function differs(a: ApiObject | undefined, b: ApiObject | undefined): boolean {
  if (a === undefined || b === undefined) return a !== b
  return versionOf(a) !== versionOf(b) || a.metadata?.uid !== b.metadata?.uid
}
