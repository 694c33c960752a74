/**
 * Trees of a shape that is fixed before any token is known: k independent paths (SpecTr), a fixed branching, a chain. What tokens are
 * picked at a node is the `drawing`, and each verifier has one that it needs (`TreeNeeds`).
 */
import type { Chance } from '../chance.ts'
import { bestOf, type Law, pointLaw, probabilityOf, without } from '../law.ts'
import { root } from '../tokenTree.ts'
import { type Build, Growing } from './grow.ts'
import { Siblings } from './siblings.ts'

/**
 * - `independent`: each child from q; equal siblings may come up and stay.
 * - `without-replacement`: each child from q without the siblings before it.
 * - `top-and-draw`: the most probable tokens of q, and as the last child a draw from the rest.
 */
export type Drawing = 'independent' | 'without-replacement' | 'top-and-draw'

export interface ShapeOptions {
  /** Of each node, as in a `TokenTree`. Nodes that no token is left for, and what would hang on them, are left out. */
  readonly parents: readonly number[]
  readonly drawing: Drawing
  readonly chance: Chance
}

/** Layer by layer, one batched draft call for each. */
export function* growShape({ parents, drawing, chance }: ShapeOptions): Build {
  const growing = new Growing({ drawn: true })
  let layer: readonly Planned[] = [{ node: root, place: root }]
  for (;;) {
    const inner = layer.filter(({ place }) => parents.includes(place))
    if (inner.length === 0) return growing.growth
    const laws = yield { tree: growing.tree, nodes: inner.map(({ node }) => node) }
    layer = inner.flatMap(({ node: parent, place }, i) => {
      const q = laws[i]
      if (q === undefined) throw new RangeError(`${laws.length} laws for ${inner.length} nodes`)
      const children = [...parents.keys()].filter((child) => parents[child] === place)
      const picked = pick[drawing](q, children.length, chance)
      return picked.map(({ token, law }, at) => ({
        node: growing.add({ parent, token, law, confidence: probabilityOf(q, token) }),
        place: children[at] ?? root,
      }))
    })
  }
}

/** k paths of a length, side by side. */
export function pathsShape(paths: number, length: number): number[] {
  return Array.from({ length: paths * length }, (_, i) => (i < paths ? root : i - paths))
}

/** Every node of depth i has `branching[i]` children. */
export function branchingShape(branching: readonly number[]): number[] {
  const parents: number[] = []
  let layer: number[] = [root]
  for (const children of branching) {
    layer = layer.flatMap((parent) => Array.from({ length: children }, () => parents.push(parent) - 1))
  }
  return parents
}

/** A node of the tree, and its place in the shape. */
interface Planned {
  readonly node: number
  readonly place: number
}

interface Picked {
  readonly token: number
  readonly law: Law
}

const pick: Record<Drawing, (q: Law, count: number, chance: Chance) => Picked[]> = {
  independent: (q, count, chance) => Array.from({ length: count }, () => ({ token: chance.draw(q), law: q })),
  'without-replacement': (q, count, chance) => take(new Siblings(q, chance), count),
  'top-and-draw': (q, count, chance) => {
    const top: Picked[] = []
    let rest: Law | null = q
    for (; top.length < count - 1 && rest !== null; rest = without(rest, bestOf(rest))) {
      const token = bestOf(rest)
      top.push({ token, law: pointLaw(token) })
    }
    return rest === null ? top : [...top, { token: chance.draw(rest), law: rest }]
  },
}

function take(siblings: Siblings, count: number): Picked[] {
  const taken: Picked[] = []
  while (taken.length < count) {
    const sibling = siblings.next()
    if (sibling === null) break
    taken.push(sibling)
  }
  return taken
}
