/**
 * Who may use which name. A deployment's own name is always its own; of the further names, and of the names of routes, whoever was
 * there first keeps one that two ask for, and the other is told so in its `Degraded` condition.
 */
import type { NameConflict, NameOwner } from './observed.ts'

export interface NameClaim extends NameOwner {
  /** Of a route: the one name that it stands for. */
  readonly servedNames: readonly string[]
}

export interface GrantedNames {
  /** A deployment's own name first. */
  readonly servedNames: readonly string[]
  readonly conflicts: readonly NameConflict[]
}

/** `claims` come in order of age, the oldest first; what each is granted comes in the same order. */
export function grantNames(claims: readonly NameClaim[]): readonly GrantedNames[] {
  const deployments = claims.filter(({ kind }) => kind === 'deployment')
  const owners = new Map<string, NameOwner>(deployments.map(({ kind, name }) => [name, { kind, name }]))
  return claims.map((claim) => grant(claim, owners))
}

function grant(claim: NameClaim, owners: Map<string, NameOwner>): GrantedNames {
  const servedNames = claim.kind === 'deployment' ? [claim.name] : []
  const conflicts: NameConflict[] = []
  for (const name of new Set(claim.servedNames)) {
    const owner = owners.get(name) ?? { kind: claim.kind, name: claim.name }
    owners.set(name, owner)
    if (owner.kind !== claim.kind || owner.name !== claim.name) conflicts.push({ name, owner })
    else if (!servedNames.includes(name)) servedNames.push(name)
  }
  return { servedNames, conflicts }
}
