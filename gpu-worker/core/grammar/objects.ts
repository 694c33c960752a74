/**
 * Objects: declared properties in the order of the schema, each required or optional, then others where they are allowed.
 *
 * One rule per property and per "has anything been written yet", so the grammar grows with the number of properties and not with
 * their combinations. A name that is not declared must differ from all declared ones: it leaves the tree of their characters
 * somewhere, and until then it may not use escapes, which could spell a declared name.
 */
import type { Alternative, Target } from './alternatives.ts'
import type { Emission } from './emission.ts'
import { anyCharacter, plainCharacter } from './pattern.ts'
import { refuse } from './schemaDocument.ts'
import { literal, repeated, repetitionsMax } from './writer.ts'

/** Null where no object fits. */
export function objectExpression(one: Alternative, emission: Emission): string | null {
  const { space, writer } = emission
  const declared = declaredProperties(one, emission)
  const other = otherPair(one, emission)
  if (declared === null) return null
  if (declared.length === 0) return freeObject(one, other, emission)
  const requiredCount = declared.filter((property) => property.isRequired).length
  checkCounts(one, { requiredCount, countMax: other === null ? declared.length : Number.POSITIVE_INFINITY })
  const isOneNeeded = one.propertiesMin > 0 && requiredCount === 0
  let later = other === null ? '' : `${writer.rule(`"," ${space} ${other}`)}*`
  let first = other === null ? '' : `${other} ${later}`
  let mayBeEmpty = !isOneNeeded
  for (const { pair, isRequired } of declared.toReversed()) {
    const withThis = `${pair} ${later}`.trim()
    // Nothing written yet: this one, or (where it is optional) what may come instead.
    first = isRequired || first === '' ? withThis : `${writer.rule(withThis)} | ${writer.rule(first)}`
    mayBeEmpty &&= !isRequired
    const following = writer.rule(`"," ${space} ${pair}`)
    later = `${isRequired ? following : `${following}?`} ${later}`.trim()
    if (later.length > 200) later = writer.rule(later)
  }
  const body = writer.rule(first)
  return writer.rule(`"{" ${space} ${mayBeEmpty ? `${body}?` : body} ${space} "}"`)
}

interface Property {
  readonly pair: string
  readonly isRequired: boolean
}

/** Null where a required property cannot have any value. */
function declaredProperties(one: Alternative, emission: Emission): Property[] | null {
  const found: Property[] = []
  const targets = new Map(one.properties)
  for (const name of one.required) {
    if (!targets.has(name))
      targets.set(name, one.additional === 'unsaid' ? [] : one.additional === 'none' ? ['!'] : one.additional)
  }
  if (one.names.length > 0 && targets.size > 0)
    refuse(one.origin, 'propertyNames', 'beside declared properties cannot be expressed')
  for (const [name, target] of targets) {
    const isRequired = one.required.has(name)
    const value = emission.target(target)
    if (value !== null) found.push({ pair: pairOf(name, value, emission), isRequired })
    else if (isRequired) return null
  }
  return found
}

function pairOf(name: string, value: string, emission: Emission): string {
  return emission.writer.rule(`${literal(`${JSON.stringify(name)}:`)} ${emission.space} ${value}`)
}

/** Name and value of a property that is not declared; null where there may be none. */
function otherPair(one: Alternative, emission: Emission): string | null {
  const { writer, space, expansion } = emission
  const names = [...one.properties.keys(), ...one.required]
  const isForbidden =
    one.additional === 'unsaid' && names.length > 0 && expansion.options.undeclaredProperties === 'forbid'
  if (one.additional === 'none' || isForbidden) return null
  const target: Target = one.additional === 'unsaid' ? [] : one.additional
  const value = emission.target(target)
  if (value === null) return null
  return writer.rule(`${keyOf(one, names, emission)} ":" ${space} ${value}`)
}

function keyOf(one: Alternative, names: readonly string[], emission: Emission): string {
  const { writer } = emission
  if (names.length > 0) return `"\\"" ${otherName(treeOf(names), writer.rule(anyCharacter), emission)} "\\""`
  const target = one.names.length === 0 ? null : emission.expansion.alternatives([...one.names])
  if (target === null) return `"\\"" ${writer.rule(anyCharacter)}* "\\""`
  const strings = target.filter((alternative) => alternative.types.has('string'))
  const keys = strings.flatMap((alternative) => emission.key(alternative))
  if (keys.length === 0)
    return refuse(one.origin, 'propertyNames', 'allows no name at all; use "additionalProperties": false')
  return writer.rule(keys.join(' | '))
}

function freeObject(one: Alternative, other: string | null, emission: Emission): string | null {
  const { space, writer } = emission
  if (one.propertiesMin > 1 && other !== null) {
    refuse(one.origin, 'minProperties', 'above 1 needs declared properties: a grammar cannot keep names from repeating')
  }
  if (one.propertiesMin > one.propertiesMax || (other === null && one.propertiesMin > 0)) return null
  if (other === null || one.propertiesMax === 0) return writer.rule(`"{" ${space} "}"`)
  const most = one.propertiesMax === Number.POSITIVE_INFINITY ? null : Math.min(one.propertiesMax - 1, repetitionsMax)
  const more = most === 0 ? '' : repeated(writer.rule(`"," ${space} ${other}`), 0, most)
  const list = writer.rule(`${other} ${more}`.trim())
  return writer.rule(`"{" ${space} ${one.propertiesMin > 0 ? list : `${list}?`} ${space} "}"`)
}

function checkCounts(one: Alternative, counts: { requiredCount: number; countMax: number }): void {
  const { propertiesMin, propertiesMax, origin } = one
  const isMinKept = propertiesMin <= Math.max(1, counts.requiredCount)
  if (!isMinKept)
    refuse(origin, 'minProperties', 'is above the number of required properties, which a grammar cannot count')
  if (propertiesMax < counts.countMax)
    refuse(origin, 'maxProperties', 'is below the number of properties that may appear, which a grammar cannot count')
}

interface NameTree {
  isName: boolean
  readonly children: Map<string, NameTree>
}

function treeOf(names: readonly string[]): NameTree {
  const root: NameTree = { isName: false, children: new Map() }
  for (const name of names) {
    let at = root
    for (const character of JSON.stringify(name).slice(1, -1)) {
      let next = at.children.get(character)
      if (next === undefined) at.children.set(character, (next = { isName: false, children: new Map() }))
      at = next
    }
    at.isName = true
  }
  return root
}

/** What may follow in a name that so far is the way to this place of the tree. */
function otherName(tree: NameTree, any: string, emission: Emission): string {
  const { writer } = emission
  const taken = [...tree.children.keys()].map(setCharacter).join('')
  const parts = [`${plainCharacter.slice(0, -1)}${taken}] ${any}*`]
  for (const [character, next] of tree.children) {
    // A backslash starts an escape, which undeclared names may not have here.
    if (character === '\\') continue
    const rest = next.children.size === 0 ? `${any}+` : otherName(next, any, emission)
    parts.push(`[${setCharacter(character)}] ${rest}`)
  }
  const rule = writer.rule(parts.join(' | '))
  return tree.isName ? rule : `${rule}?`
}

function setCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (/[A-Za-z0-9]/.test(character)) return character
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}
