/**
 * Can one generated value satisfy two branches of a `oneOf`? Certain in the cases people write: different types, different constants,
 * a property that tells the branches apart, or one that only one of them has. Otherwise it is assumed to be possible.
 */
import { type Alternative, intersection, type Target } from './alternatives.ts'
import type { Expansion } from './expansion.ts'

/** Indexes of two branches that may overlap, or null. */
export function findOverlap(branches: readonly Alternative[][], expansion: Expansion): [number, number] | null {
  for (const [i, left] of branches.entries()) {
    for (const [j, right] of branches.entries()) {
      if (j <= i) continue
      if (left.some((a) => right.some((b) => mayOverlap(a, b, expansion)))) return [i, j]
    }
  }
  return null
}

function mayOverlap(a: Alternative, b: Alternative, expansion: Expansion): boolean {
  const shared = [...a.types].filter(
    (type) =>
      b.types.has(type) ||
      (type === 'integer' && b.types.has('number')) ||
      (type === 'number' && b.types.has('integer')),
  )
  if (a.values !== null && b.values !== null) return intersection(a.values, b.values).size > 0
  return shared.some((type) => {
    if (type === 'integer' || type === 'number') return rangesMeet(a, b)
    if (type === 'string') return a.lengthMin <= b.lengthMax && b.lengthMin <= a.lengthMax
    if (type === 'object') return !areToldApart(a, b, expansion)
    return true
  })
}

function rangesMeet(a: Alternative, b: Alternative): boolean {
  const isBelow = (low: Alternative, high: Alternative) =>
    low.max !== null &&
    high.min !== null &&
    (low.max < high.min || (low.max === high.min && (low.maxExclusive || high.minExclusive)))
  return !isBelow(a, b) && !isBelow(b, a)
}

function areToldApart(a: Alternative, b: Alternative, expansion: Expansion): boolean {
  for (const name of intersection(a.required, b.required)) {
    const left = constantsOf(a.properties.get(name) ?? [], expansion)
    const right = constantsOf(b.properties.get(name) ?? [], expansion)
    if (left !== null && right !== null && intersection(left, right).size === 0) return true
  }
  return isNeverIn(a, b, expansion) && isNeverIn(b, a, expansion)
}

/** No object generated for `a` satisfies `b`: it lacks something, or has something too much. */
function isNeverIn(a: Alternative, b: Alternative, expansion: Expansion): boolean {
  const isClosed =
    a.additional === 'none' || (a.additional === 'unsaid' && expansion.options.undeclaredProperties === 'forbid')
  const lacks = isClosed && [...b.required].some((name) => !a.properties.has(name) && !a.required.has(name))
  return lacks || (b.additional === 'none' && [...a.required].some((name) => !b.properties.has(name)))
}

function constantsOf(target: Target, expansion: Expansion): ReadonlySet<string> | null {
  for (const place of target) {
    const values = expansion.constantsAt(place)
    if (values !== null) return values
  }
  return null
}
