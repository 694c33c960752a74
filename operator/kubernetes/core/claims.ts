/**
 * Who may use which name, kept up to date one pair or route at a time: 1,000 pairs must not be looked at for each change of one.
 *
 * The rules are those of `core/names.ts`: a pair's own name is always its own; of further names, and of the names of routes, the
 * older keeps one that two ask for (by creation, then by name, so that every operator decides alike). Pure but for its memory.
 */
import type { NameConflict, NameOwner } from '../../core/observed.ts'

export interface Claimant extends NameOwner {
  /** Of a route: the one name it stands for. */
  readonly servedNames: readonly string[]
  /** RFC 3339, as the API server wrote it: comparing two of them compares no clocks. */
  readonly created: string
}

export interface Grant {
  /** A pair's own name first. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
}

export class NameClaims {
  readonly #claimants = new Map<string, Claimant>()
  readonly #byName = new Map<string, Set<string>>()

  /** The others whose grant may have changed. */
  set(claimant: Claimant): NameOwner[] {
    const key = keyOf(claimant)
    const before = this.#claimants.get(key)
    const touched = new Set([...names(before), ...names(claimant)])
    this.#forget(before)
    this.#claimants.set(key, claimant)
    for (const name of names(claimant)) this.#claimsOf(name).add(key)
    return this.#others(touched, key)
  }

  remove(owner: NameOwner): NameOwner[] {
    const key = keyOf(owner)
    const before = this.#claimants.get(key)
    const others = this.#others(new Set(names(before)), key)
    this.#forget(before)
    this.#claimants.delete(key)
    return others
  }

  grantOf(owner: NameOwner): Grant {
    const own = ownNames(owner)
    const servedNames = [...own]
    const conflicts: NameConflict[] = []
    for (const served of new Set(this.#claimants.get(keyOf(owner))?.servedNames ?? [])) {
      const holder = this.#ownerOf(served)
      if (keyOf(holder) !== keyOf(owner))
        conflicts.push({ name: served, owner: { kind: holder.kind, name: holder.name } })
      else if (!own.includes(served)) servedNames.push(served)
    }
    return { servedNames, conflicts }
  }

  #ownerOf(served: string): NameOwner {
    const own = this.#claimants.get(keyOf({ kind: 'deployment', name: served }))
    if (own !== undefined) return own
    const claimants = [...(this.#byName.get(served) ?? [])].flatMap((key) => this.#claimants.get(key) ?? [])
    return claimants.reduce((a, b) => (isOlder(b, a) ? b : a))
  }

  #claimsOf(name: string): Set<string> {
    const claims = this.#byName.get(name) ?? new Set<string>()
    this.#byName.set(name, claims)
    return claims
  }

  #forget(claimant: Claimant | undefined): void {
    if (claimant === undefined) return
    for (const name of names(claimant)) {
      const claims = this.#byName.get(name)
      claims?.delete(keyOf(claimant))
      if (claims?.size === 0) this.#byName.delete(name)
    }
  }

  #others(touched: ReadonlySet<string>, own: string): NameOwner[] {
    const keys = new Set([...touched].flatMap((name) => [...(this.#byName.get(name) ?? [])]))
    return [...keys].flatMap((key) => (key === own ? [] : (this.#claimants.get(key) ?? [])))
  }
}

const keyOf = ({ kind, name }: NameOwner): string => `${kind}/${name}`
const ownNames = ({ kind, name }: NameOwner): readonly string[] => (kind === 'deployment' ? [name] : [])

function names(claimant: Claimant | undefined): readonly string[] {
  return claimant === undefined ? [] : [...ownNames(claimant), ...claimant.servedNames]
}

function isOlder(a: Claimant, b: Claimant): boolean {
  return a.created === b.created ? keyOf(a) < keyOf(b) : a.created < b.created
}
