/** Values of a kind with one part, at any depth, replaced by anything: what a check by hand and a schema must judge alike. */
import fc from 'fast-check'

const odd = fc.constantFrom(
  null,
  -1,
  0,
  1.5,
  2 ** 53,
  Number.NaN,
  '',
  'x y',
  'a'.repeat(129),
  [],
  {},
  [null],
  'length',
  300,
)

export function withOneReplaced(values: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return fc
    .tuple(values, fc.nat(), fc.oneof(fc.anything(), odd))
    .map(([value, at, replacement]) => replaceAt(structuredClone(value), at, replacement))
}

/** Replaces the `at`-th inner value (modulo their number) of a tree. */
function replaceAt(root: object, at: number, replacement: unknown): object {
  const places: { owner: object; key: string }[] = []
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) {
      places.push({ owner: value, key })
      visit(inner)
    }
  }
  visit(root)
  const place = places[at % Math.max(1, places.length)]
  if (place !== undefined) Reflect.set(place.owner, place.key, replacement)
  return root
}
