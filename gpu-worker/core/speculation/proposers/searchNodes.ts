/**
 * The nodes of one search as columns, made once and used again for every search: no object is made while one runs.
 *
 * Node 0 is the root. Children of a node stand side by side, heaviest first, and behind their parent.
 */
import assert from 'node:assert/strict'

export class SearchNodes {
  count = 0
  readonly tokens: Int32Array
  readonly parents: Int32Array
  /** First child; 0: none yet, for no child is node 0. */
  readonly children: Int32Array
  readonly childCounts: Uint8Array
  readonly visits: Int32Array
  readonly rewards: Float64Array
  /** Of the tri-gram that ends here. */
  readonly weights: Float64Array
  /** The weights from the root to here, added. */
  readonly pathWeights: Float64Array
  /** Tokens from the root to here. */
  readonly depths: Uint8Array
  /** The token before the root's. */
  #beforeRoot = 0

  constructor(nodesMax: number) {
    this.tokens = new Int32Array(nodesMax)
    this.parents = new Int32Array(nodesMax)
    this.children = new Int32Array(nodesMax)
    this.childCounts = new Uint8Array(nodesMax)
    this.visits = new Int32Array(nodesMax)
    this.rewards = new Float64Array(nodesMax)
    this.weights = new Float64Array(nodesMax)
    this.pathWeights = new Float64Array(nodesMax)
    this.depths = new Uint8Array(nodesMax)
  }

  begin(before: number, last: number): void {
    this.count = 0
    this.#beforeRoot = before
    this.add(0, last, 0)
    this.depths[0] = 0
    this.pathWeights[0] = 0
  }

  add(parent: number, token: number, weight: number): number {
    const node = this.count
    assert(node < this.tokens.length, `a search of more than ${this.tokens.length} nodes`)
    this.count += 1
    this.tokens[node] = token
    this.parents[node] = parent
    this.children[node] = 0
    this.childCounts[node] = 0
    this.visits[node] = 0
    this.rewards[node] = 0
    this.weights[node] = weight
    this.pathWeights[node] = (this.pathWeights[parent] ?? 0) + weight
    this.depths[node] = (this.depths[parent] ?? 0) + 1
    return node
  }

  parentOf(node: number): number {
    return this.parents[node] ?? 0
  }

  /** The two tokens of a node's state. */
  firstOf(node: number): number {
    return node === 0 ? this.#beforeRoot : (this.tokens[this.parentOf(node)] ?? 0)
  }

  secondOf(node: number): number {
    return this.tokens[node] ?? 0
  }

  /** Adds one visit with this reward to the node and all above it. */
  visit(node: number, reward: number): void {
    for (let at = node; ; at = this.parentOf(at)) {
      this.visits[at] = (this.visits[at] ?? 0) + 1
      this.rewards[at] = (this.rewards[at] ?? 0) + reward
      if (at === 0) return
    }
  }
}
