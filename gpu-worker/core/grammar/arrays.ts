/** Arrays: a prefix of own schemas, then items of one schema, between two counts. */
import type { Alternative } from './alternatives.ts'
import type { Emission } from './emission.ts'
import { refuse } from './schemaDocument.ts'
import { repeated, repetitionsMax } from './writer.ts'

/** Null where no array fits. */
export function arrayExpression(one: Alternative, emission: Emission): string | null {
  const { space, writer } = emission
  const prefix = one.prefix.map((target) => emission.target(target))
  const firstImpossible = prefix.indexOf(null)
  const places = prefix.slice(0, firstImpossible < 0 ? undefined : firstImpossible).filter((name) => name !== null)
  const item = firstImpossible >= 0 || one.items === null ? null : emission.target(one.items)
  const countMax = Math.min(one.itemsMax, item === null ? places.length : Number.POSITIVE_INFINITY)
  const countMin = one.itemsMin
  if (countMin > countMax) return null
  if (countMin > repetitionsMax) refuse(one.origin, 'minItems', `must be at most ${repetitionsMax}`)
  if (countMax === 0) return writer.rule(`"[" ${space} "]"`)
  // From the last place to the first: each is followed by a comma and the rest, which may be missing once enough is there.
  let rest =
    item === null ? '' : itemsAfter({ item, least: countMin - places.length, most: countMax - places.length, emission })
  for (let index = Math.min(places.length, countMax) - 1; index >= 0; index--) {
    const isOptional = index >= countMin
    const body = `${index === 0 ? '' : `"," ${space} `}${places[index]} ${rest}`.trim()
    rest = isOptional ? `(${writer.rule(body)})?` : writer.rule(body)
  }
  if (places.length === 0 && item !== null) rest = itemsFromStart({ item, least: countMin, most: countMax, emission })
  return writer.rule(`"[" ${space} ${rest} ${space} "]"`)
}

interface Items {
  readonly item: string
  readonly least: number
  readonly most: number
  readonly emission: Emission
}

/** Items behind at least one other. */
function itemsAfter({ item, least, most, emission }: Items): string {
  if (most <= 0) return ''
  const next = emission.writer.rule(`"," ${emission.space} ${item}`)
  return repeated(next, Math.max(0, least), most === Number.POSITIVE_INFINITY ? null : Math.min(most, repetitionsMax))
}

function itemsFromStart({ item, least, most, emission }: Items): string {
  const list = `${item} ${itemsAfter({ item, least: least - 1, most: most - 1, emission })}`.trim()
  return least === 0 ? `(${emission.writer.rule(list)})?` : emission.writer.rule(list)
}
