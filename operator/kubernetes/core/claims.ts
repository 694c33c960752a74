/**
 * Who may use which served name, kept up to date one pair at a time: 1,000 pairs must not be looked at for each change of one.
 *
 * The rules are those of `core/names.ts`: a pair's own name is always its own; of further names the older pair keeps one that two
 * ask for (by creation, then by name, so that every operator decides alike). Pure but for its memory.
 */
import type { NameConflict } from '../../core/observed.ts'

export interface Claimant {
  readonly name: string
  readonly servedNames: readonly string[]
  /** RFC 3339, as the API server wrote it: comparing two of them compares no clocks. */
  readonly created: string
}

export interface Grant {
  /** The pair's own name first. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
}

export class NameClaims {
  readonly #claimants = new Map<string, Claimant>()
  readonly #byName = new Map<string, Set<string>>()

  /** The names of other pairs whose grant may have changed. */
  set(claimant: Claimant): string[] {
    const before = this.#claimants.get(claimant.name)
    const touched = new Set([...this.#names(before), ...this.#names(claimant)])
    this.#forget(before)
    this.#claimants.set(claimant.name, claimant)
    for (const name of this.#names(claimant)) this.#claimsOf(name).add(claimant.name)
    return this.#others(touched, claimant.name)
  }

  remove(name: string): string[] {
    const before = this.#claimants.get(name)
    const touched = new Set(this.#names(before))
    const others = this.#others(touched, name)
    this.#forget(before)
    this.#claimants.delete(name)
    return others
  }

  grantOf(name: string): Grant {
    const claimant = this.#claimants.get(name)
    const servedNames = [name]
    const conflicts: NameConflict[] = []
    for (const served of new Set(claimant?.servedNames ?? [])) {
      const owner = this.#ownerOf(served)
      if (owner !== name) conflicts.push({ name: served, owner })
      else if (served !== name) servedNames.push(served)
    }
    return { servedNames, conflicts }
  }

  #ownerOf(served: string): string {
    if (this.#claimants.has(served)) return served
    const claimants = [...(this.#byName.get(served) ?? [])].flatMap((name) => this.#claimants.get(name) ?? [])
    const oldest = claimants.reduce((a, b) => (isOlder(b, a) ? b : a))
    return oldest.name
  }

  #names(claimant: Claimant | undefined): string[] {
    return claimant === undefined ? [] : [claimant.name, ...claimant.servedNames]
  }

  #claimsOf(name: string): Set<string> {
    const claims = this.#byName.get(name) ?? new Set<string>()
    this.#byName.set(name, claims)
    return claims
  }

  #forget(claimant: Claimant | undefined): void {
    if (claimant === undefined) return
    for (const name of this.#names(claimant)) {
      const claims = this.#byName.get(name)
      claims?.delete(claimant.name)
      if (claims?.size === 0) this.#byName.delete(name)
    }
  }

  #others(touched: ReadonlySet<string>, own: string): string[] {
    const names = [...touched].flatMap((name) => [...(this.#byName.get(name) ?? [])])
    return [...new Set(names)].filter((name) => name !== own)
  }
}

function isOlder(a: Claimant, b: Claimant): boolean {
  return a.created === b.created ? a.name < b.name : a.created < b.created
}
