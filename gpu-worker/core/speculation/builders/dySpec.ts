/**
 * DySpec (arXiv 2410.11744): a tree that puts its nodes where the draft believes they will be accepted.
 *
 * Hypothesis: a token's acceptance rate is its draft probability. Then the value v of a place is the chance that it is reached: all
 * ancestors accepted, all earlier siblings rejected; and a node drawn there adds v · r to the expected length, r its probability.
 *
 * Whether a node is drawn depends on v only, which is fixed before its token is seen. That keeps it lossless; choosing the best of
 * nodes that were already drawn (EAGLE-2) does not.
 */
import type { Law } from '../law.ts'
import { root } from '../tokenTree.ts'
import { type Build, Growing, type LawsWanted } from './grow.ts'
import { type Picking, Siblings } from './siblings.ts'
import { ValueQueue } from './valueQueue.ts'

export interface GreedyOptions {
  readonly picking: Picking
  /** m: nodes in all. */
  readonly nodesMax: number
  readonly depthMax?: number
}

/** A place where one more node may be drawn. */
interface Place {
  readonly parent: number
  /** v(parent's path): what the confidence of a child is relative to. */
  readonly pathValue: number
  /** Of the parent's children; null until the first of them is drawn, which is when its law is asked for. */
  readonly siblings: Siblings | null
}

/**
 * Greedy build of a fixed size: always the place of greatest value. One draft call per node that gets children. Of equal values the
 * one that came up first, and the next sibling comes up before the child.
 */
export function* growGreedily({ picking, nodesMax, depthMax = nodesMax }: GreedyOptions): Build {
  const growing = new Growing({ drawn: picking !== 'best' })
  const places = new ValueQueue<Place>()
  places.push(1, { parent: root, pathValue: 1, siblings: null })
  while (growing.size < nodesMax) {
    const entry = places.pop()
    if (entry === null) break
    const { value, item } = entry
    const siblings = item.siblings ?? new Siblings(yield* lawAfter(growing, item.parent), picking)
    const sibling = siblings.next()
    if (sibling === null) continue
    const { token, law, share } = sibling
    const node = growing.add({ parent: item.parent, token, law, confidence: (value * share) / item.pathValue })
    if (!siblings.isExhausted) places.push(value * (1 - share), { ...item, siblings })
    if (growing.depthOf(node) < depthMax)
      places.push(value * share, { parent: node, pathValue: value * share, siblings: null })
  }
  return growing.growth
}

export interface ThresholdOptions extends GreedyOptions {
  /** t: places of at least this value get a node; about 1 / nodesMax. */
  readonly valueMin: number
  /** Nodes of one layer that may get children: of more, those of greatest value do. */
  readonly widthMax?: number
}

/**
 * Threshold build: layer by layer, a node at every place whose value is at least t. One batched draft call per layer, for a tree that
 * is only near the greedy one. `nodesMax` cuts it in the order of building, which is fixed before tokens are seen.
 */
export function* growByThreshold(options: ThresholdOptions): Build {
  const { picking, nodesMax, valueMin, depthMax = nodesMax, widthMax = nodesMax } = options
  const growing = new Growing({ drawn: picking !== 'best' })
  let layer = [{ node: root as number, value: 1 }]
  for (let depth = 0; depth < depthMax && layer.length > 0 && growing.size < nodesMax; depth++) {
    const laws = yield { tree: growing.tree, nodes: layer.map(({ node }) => node) }
    const below: typeof layer = []
    for (const [i, { node: parent, value: pathValue }] of layer.entries()) {
      const law = laws[i]
      if (law === undefined) throw new RangeError(`${laws.length} laws for ${layer.length} nodes`)
      const siblings = new Siblings(law, picking)
      for (let value = pathValue; value >= valueMin && growing.size < nodesMax; ) {
        const sibling = siblings.next()
        if (sibling === null) break
        const gained = value * sibling.share
        const node = growing.add({ ...sibling, parent, confidence: gained / pathValue })
        if (gained >= valueMin) below.push({ node, value: gained })
        value -= gained
      }
    }
    // Whether a node gets children may depend on what was drawn before them, itself included: only not on themselves.
    const least = below.map(({ value }) => value).sort((a, b) => b - a)[widthMax - 1] ?? 0
    layer = below.filter(({ value }) => value >= least).slice(0, widthMax)
  }
  return growing.growth
}

function* lawAfter(growing: Growing, node: number): Generator<LawsWanted, Law, readonly Law[]> {
  const [law] = yield { tree: growing.tree, nodes: [node] }
  if (law === undefined) throw new RangeError(`no law came back for node ${node}`)
  return law
}
