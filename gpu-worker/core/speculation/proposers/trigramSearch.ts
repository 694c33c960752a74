/**
 * The search of ADED (Adaptix): which continuations of two tokens are worth verifying, by trying many of them on the tri-gram table.
 *
 * A node is a token; its state is the bigram of its parent's token and its own, the root's state the sequence's last two tokens.
 * Each of 150 rounds walks down by the largest score to a leaf, hangs all its successors below it, steps into the last of them and
 * rolls out at random, in proportion to the weights, until the path has four states. Its reward is 1 + the weights along the path.
 *
 *     score = W / n + (c1 + ln((N + c2 + 1) / c2)) · P · √N / (1 + n)     an unvisited child first
 *
 * What comes out is a tree of unique nodes: the 24 most visited paths and the best successor of each. (The published code keeps
 * whole paths and draws a token for each, which gives a shared node several attempts and bends the law; a node here is judged once.)
 *
 * A search makes no object: nodes are columns that are used again. Roll-outs draw from a generator of (seed, position), so the same
 * text gives the same tree on every worker, and the draws have nothing to do with those of the target's sampler.
 */
import { limits } from '#contracts/limits.ts'
import { SearchNodes } from './searchNodes.ts'
import type { Sighted, Successors } from './successors.ts'

export interface SearchOptions {
  readonly iterations: number
  /** States of a path, the root's among them; its extension is one token more. */
  readonly states: number
  readonly pathsMax: number
  /** Nodes of the tree. */
  readonly nodesMax: number
  /** c1: how much a heavy, rarely tried successor draws the search. */
  readonly exploration: number
  /** c2: visits after which that grows. */
  readonly explorationVisits: number
}

export const searchDefaults: SearchOptions = {
  iterations: 150,
  states: 4,
  pathsMax: 24,
  nodesMax: 64,
  exploration: 32,
  explorationVisits: 8,
}

export interface SearchRequest {
  readonly sighted: Sighted | null
  /** The sequence's last two tokens. */
  readonly before: number
  readonly last: number
  readonly seed: number
  /** Tokens of the sequence. */
  readonly position: number
}

/** The part of the score that all children of a node share: (c1 + ln((N + c2 + 1) / c2)) · √N. */
export function pullOf(parentVisits: number, options: SearchOptions = searchDefaults): number {
  const { exploration, explorationVisits } = options
  return (exploration + Math.log((parentVisits + explorationVisits + 1) / explorationVisits)) * Math.sqrt(parentVisits)
}

export function scoreOf(nodes: SearchNodes, child: number, pull: number): number {
  const visits = nodes.visits[child] ?? 0
  if (visits === 0) return Number.POSITIVE_INFINITY
  return (nodes.rewards[child] ?? 0) / visits + (pull * (nodes.weights[child] ?? 0)) / (1 + visits)
}

export class TrigramSearch {
  readonly nodes: SearchNodes
  /** The tree: numbers of its nodes, most visited first, so parents stand before their children; valid until the next search. */
  readonly chosen: Int32Array
  chosenCount = 0
  readonly #options: SearchOptions
  readonly #successors: Successors
  #sighted: Sighted | null = null
  #random = 0

  constructor(successors: Successors, options: SearchOptions = searchDefaults) {
    this.#options = options
    this.#successors = successors
    this.nodes = new SearchNodes(1 + options.iterations * limits.speculation.successorsMax + options.pathsMax)
    this.chosen = new Int32Array(2 * options.pathsMax)
  }

  /** False where nothing is known to follow. */
  run({ sighted, before, last, seed, position }: SearchRequest): boolean {
    const { nodes } = this
    this.#sighted = sighted
    this.#random = mix(seed, position)
    this.chosenCount = 0
    nodes.begin(before, last)
    for (let i = 0; i < this.#options.iterations; i++) {
      const node = this.#expand(this.#descend())
      if (nodes.count === 1) return false
      nodes.visit(node, 1 + (nodes.pathWeights[node] ?? 0) + this.#rollOut(node))
    }
    this.#choosePaths()
    this.#extendPaths()
    this.#dropLongest()
    return true
  }

  #descend(): number {
    const { children, childCounts, visits } = this.nodes
    let node = 0
    for (;;) {
      const first = children[node] ?? 0
      if (first === 0) return node
      node = this.#bestChild(first, first + (childCounts[node] ?? 0), pullOf(visits[node] ?? 0, this.#options))
    }
  }

  #bestChild(from: number, to: number, pull: number): number {
    let best = from
    let bestScore = Number.NEGATIVE_INFINITY
    for (let child = from; child < to; child++) {
      const score = scoreOf(this.nodes, child, pull)
      if (score <= bestScore) continue
      best = child
      bestScore = score
    }
    return best
  }

  /** Hangs all successors below a leaf and steps into the last; a path that has all its states, or no successor, stays. */
  #expand(leaf: number): number {
    const { nodes } = this
    const successors = this.#successors
    if ((nodes.depths[leaf] ?? 0) + 1 >= this.#options.states) return leaf
    successors.read(this.#sighted, nodes.firstOf(leaf), nodes.secondOf(leaf))
    if (successors.count === 0) return leaf
    nodes.children[leaf] = nodes.count
    nodes.childCounts[leaf] = successors.count
    let child = leaf
    for (let i = 0; i < successors.count; i++)
      child = nodes.add(leaf, successors.tokens[i] ?? 0, successors.weights[i] ?? 0)
    return child
  }

  /** The weights of a random continuation, added. */
  #rollOut(node: number): number {
    const successors = this.#successors
    let first = this.nodes.firstOf(node)
    let second = this.nodes.secondOf(node)
    let sum = 0
    for (let states = (this.nodes.depths[node] ?? 0) + 1; states < this.#options.states; states++) {
      successors.read(this.#sighted, first, second)
      if (successors.count === 0) return sum
      const drawn = this.#draw(successors)
      sum += successors.weights[drawn] ?? 0
      first = second
      second = successors.tokens[drawn] ?? 0
    }
    return sum
  }

  #draw({ weights, count }: Successors): number {
    let total = 0
    for (let i = 0; i < count; i++) total += weights[i] ?? 0
    let left = this.#next() * total
    for (let i = 0; i < count - 1; i++) {
      left -= weights[i] ?? 0
      if (left < 0) return i
    }
    return count - 1
  }

  /** The most visited nodes: a child is never visited more often than its parent, so they are a tree. */
  #choosePaths(): void {
    const { nodes, chosen } = this
    for (let node = 1; node < nodes.count; node++) {
      const visits = nodes.visits[node] ?? 0
      let at = this.chosenCount
      while (at > 0 && (nodes.visits[chosen[at - 1] ?? 0] ?? 0) < visits) at -= 1
      if (visits === 0 || at >= this.#options.pathsMax) continue
      this.chosenCount = Math.min(this.chosenCount + 1, this.#options.pathsMax)
      chosen.copyWithin(at + 1, at, this.chosenCount - 1)
      chosen[at] = node
    }
  }

  /** Each path grows by its best successor, where that is not a path already. */
  #extendPaths(): void {
    const { nodes, chosen } = this
    const paths = this.chosenCount
    for (let i = 0; i < paths; i++) {
      const best = this.#bestSuccessor(chosen[i] ?? 0)
      if (best === undefined || chosen.subarray(0, this.chosenCount).includes(best)) continue
      // By visits again: parents keep standing before their children, and whoever takes the first nodes takes the best.
      let at = this.chosenCount
      while (at > i + 1 && (nodes.visits[chosen[at - 1] ?? 0] ?? 0) < (nodes.visits[best] ?? 0)) at -= 1
      chosen.copyWithin(at + 1, at, this.chosenCount)
      chosen[at] = best
      this.chosenCount += 1
    }
  }

  #bestSuccessor(node: number): number | undefined {
    const { nodes } = this
    const child = nodes.children[node] ?? 0
    if (child !== 0) return child
    this.#successors.read(this.#sighted, nodes.firstOf(node), nodes.secondOf(node))
    if (this.#successors.count === 0) return undefined
    const added = nodes.add(node, this.#successors.tokens[0] ?? 0, this.#successors.weights[0] ?? 0)
    nodes.children[node] = added
    nodes.childCounts[node] = 1
    return added
  }

  #dropLongest(): void {
    const { nodes, chosen } = this
    while (this.chosenCount > this.#options.nodesMax) {
      let longest = 0
      for (let i = 0; i < this.chosenCount; i++)
        if ((nodes.depths[chosen[i] ?? 0] ?? 0) >= (nodes.depths[chosen[longest] ?? 0] ?? 0)) longest = i
      chosen.copyWithin(longest, longest + 1, this.chosenCount)
      this.chosenCount -= 1
    }
  }

  /** mulberry32: uniform in [0, 1). */
  #next(): number {
    this.#random = (this.#random + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), this.#random | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function mix(seed: number, position: number): number {
  let mixed = Math.imul(seed ^ 0x2545_f491, 0x9e37_79b1) ^ Math.imul(position + 1, 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x21f0_aaad)
  return mixed ^ (mixed >>> 13)
}
