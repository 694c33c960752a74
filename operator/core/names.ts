/**
 * Who may use which name. A deployment's own name is always its own; of the further names, the deployment that was there
 * first keeps one that two ask for, and the other is told so in its `Degraded` condition.
 */
import type { NameConflict } from './observed.ts'

export interface NameClaim {
  readonly name: string
  readonly servedNames: readonly string[]
}

export interface GrantedNames {
  /** The deployment's own name first. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
}

/** `claims` come in order of age, the oldest first. */
export function grantNames(claims: readonly NameClaim[]): ReadonlyMap<string, GrantedNames> {
  const owners = new Map(claims.map((claim) => [claim.name, claim.name]))
  return new Map(claims.map((claim) => [claim.name, grant(claim, owners)]))
}

function grant(claim: NameClaim, owners: Map<string, string>): GrantedNames {
  const servedNames = [claim.name]
  const conflicts: NameConflict[] = []
  for (const name of new Set(claim.servedNames)) {
    const owner = owners.get(name) ?? claim.name
    owners.set(name, owner)
    if (owner !== claim.name) conflicts.push({ name, owner: { kind: 'deployment', name: owner } })
    else if (name !== claim.name) servedNames.push(name)
  }
  return { servedNames, conflicts }
}
