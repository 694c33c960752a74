/**
 * From schemas to alternatives: reads the keywords, follows references, multiplies combinations out.
 *
 * Refuses what a grammar cannot hold instead of passing over it. Bounded: the number of alternatives of one target, and chains of
 * references that come back without having gone into a property or an item.
 */
import { type Alternative, anything, impossible, merge, type Target, type TypeName } from './alternatives.ts'
import { findOverlap } from './overlap.ts'
import { child, member, type Place, refuse, type Schema, type SchemaDocument } from './schemaDocument.ts'
import { readKeywords } from './keywords.ts'

const alternativesMax = 128

export interface ExpansionOptions {
  /** Whether an object may have properties beyond the declared ones where the schema does not say. */
  readonly undeclaredProperties: 'allow' | 'forbid'
}

export class Expansion {
  readonly document: SchemaDocument
  readonly options: ExpansionOptions
  readonly #known = new Map<Place, Alternative[]>()
  readonly #constants = new Map<Place, ReadonlySet<string> | null>()

  constructor(document: SchemaDocument, options: ExpansionOptions) {
    this.document = document
    this.options = options
  }

  /** What all places of the target allow together; empty: nothing. */
  alternatives(target: Target): Alternative[] {
    if (target === impossible || target.includes(impossible[0] ?? '')) return []
    let found: Alternative[] = [anything]
    for (const place of target) found = this.#product(found, this.#at(place, []), place)
    return found
  }

  /** Constants that stand at the place itself: expanding it could lead back to a `oneOf` that is being read. */
  constantsAt(place: Place): ReadonlySet<string> | null {
    const known = this.#constants.get(place)
    if (known !== undefined) return known
    const schema = this.document.at(place)
    const values = typeof schema === 'boolean' ? null : (readKeywords(schema, place).values ?? null)
    this.#constants.set(place, values)
    return values
  }

  #at(place: Place, path: readonly Place[]): Alternative[] {
    const known = this.#known.get(place)
    if (known !== undefined) return known
    if (path.includes(place)) refuse(place, '$ref', 'refers to itself without going into a property or an item')
    const found = this.#read(place, this.document.at(place), [...path, place])
    this.#known.set(place, found)
    return found
  }

  #read(place: Place, schema: Schema, path: readonly Place[]): Alternative[] {
    if (typeof schema === 'boolean') return schema ? [anything] : []
    let found: Alternative[] = [{ ...anything, ...readKeywords(schema, place), origin: place }]
    const reference = member(schema, '$ref')
    if (reference !== undefined)
      found = this.#product(found, this.#at(this.document.resolve(place, reference), path), place)
    for (const [i] of listOf(schema, 'allOf', place).entries()) {
      found = this.#product(found, this.#at(child(place, 'allOf', i), path), place)
    }
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const list = listOf(schema, keyword, place)
      if (list.length === 0) continue
      const branches = list.map((_, i) => this.#at(child(place, keyword, i), path))
      const count = branches.reduce((sum, branch) => sum + branch.length, 0)
      if (count > alternativesMax) refuse(place, keyword, `has more than ${alternativesMax} alternatives`)
      if (keyword === 'oneOf') this.#checkOneOf(branches, place)
      found = this.#product(found, branches.flat(), place)
    }
    if (member(schema, 'unevaluatedProperties') === false) {
      found = found.map((one) => ({ ...one, additional: one.additional === 'unsaid' ? 'none' : one.additional }))
    }
    if (member(schema, 'nullable') === true)
      found = [...found, { ...anything, types: new Set<TypeName>(['null']), origin: place }]
    return found
  }

  /** A grammar can only offer the branches; that no second one holds as well must be certain beforehand. */
  #checkOneOf(branches: readonly Alternative[][], place: Place): void {
    const overlap = findOverlap(branches, this)
    if (overlap !== null) {
      refuse(
        place,
        'oneOf',
        `has branches ${overlap.join(' and ')} that one value may satisfy together; use anyOf, or give them different types or constants`,
      )
    }
  }

  #product(left: readonly Alternative[], right: readonly Alternative[], place: Place): Alternative[] {
    const found: Alternative[] = []
    for (const a of left) {
      for (const b of right) {
        const merged = merge(a, b)
        if (merged.kind === 'inexpressible')
          refuse(place, merged.keyword, 'is combined with another one, which a grammar cannot express')
        if (merged.kind === 'merged') found.push(merged.alternative)
        if (found.length > alternativesMax) refuse(place, '', `combines to more than ${alternativesMax} alternatives`)
      }
    }
    return found
  }
}

function listOf(schema: Readonly<Record<string, unknown>>, keyword: string, place: Place): readonly unknown[] {
  const list = member(schema, keyword)
  if (list === undefined) return []
  if (!Array.isArray(list) || list.length === 0) return refuse(place, keyword, 'must be a list of schemas')
  return list
}
