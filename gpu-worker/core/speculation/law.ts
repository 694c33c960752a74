/**
 * Laws over the vocabulary, and the arithmetic that all verifiers share: (p - q)+, overlap, a law without a token.
 *
 * A law is its support. At a vocabulary of 49,152 a pass over every token costs 50 µs and a step judges dozens of nodes; drafts
 * draw from a few dozen tokens (top-k, or cut to their head by `processedLaw`), so whatever loops over q's support is free. Names
 * follow the papers: p is the target's law, q the draft's, both after the same temperature and truncation. float64 throughout,
 * because tails are subtracted from each other.
 */
export interface Law {
  /** Ascending, each once. */
  readonly tokens: Int32Array
  /** `weights[i] > 0` belongs to `tokens[i]`; they sum to 1. */
  readonly weights: Float64Array
  /** Of large laws: the sums of 64 weights each, so that a draw looks at blocks before it looks at tokens. */
  readonly blocks?: Float64Array
  /** Of laws that are written out only where somebody walks through them (`LawReader.look`): one probability without that. */
  readonly at?: (token: number) => number
  /** Of the same: the token in whose part `point` lies, where those of `inside` (ascending) have none. */
  readonly tokenOutside?: (inside: Int32Array, point: number) => number
}

export const blockWeights = 64
/** Below this a draw is short anyway. */
const blocksFrom = 16 * blockWeights

/** The law of `weights[token]`, which need not be normalised. Throws where there is no mass. */
export function lawOf(weights: ArrayLike<number>): Law {
  const tokens: number[] = []
  for (let token = 0; token < weights.length; token++) if ((weights[token] ?? 0) > 0) tokens.push(token)
  return normalised(
    Int32Array.from(tokens),
    Float64Array.from(tokens, (token) => weights[token] ?? 0),
  )
}

/** All mass on one token: what a token that nobody drew was "drawn" from. */
export function pointLaw(token: number): Law {
  return { tokens: Int32Array.of(token), weights: Float64Array.of(1) }
}

/** norm(x) = x / Σx, in place. */
export function normalised(tokens: Int32Array, weights: Float64Array): Law {
  let total = 0
  for (const weight of weights) total += weight
  if (!(total > 0)) throw new RangeError(`a law over ${tokens.length} tokens has no mass`)
  if (total !== 1) for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) / total
  return weights.length < blocksFrom ? { tokens, weights } : { tokens, weights, blocks: sumsOfBlocks(weights) }
}

function sumsOfBlocks(weights: Float64Array): Float64Array {
  const blocks = new Float64Array(Math.ceil(weights.length / blockWeights))
  for (let block = 0; block < blocks.length; block++) {
    let sum = 0
    const end = Math.min((block + 1) * blockWeights, weights.length)
    for (let i = block * blockWeights; i < end; i++) sum += weights[i] ?? 0
    blocks[block] = sum
  }
  return blocks
}

export function probabilityOf(law: Law, token: number): number {
  if (law.at !== undefined) return law.at(token)
  const place = placeOf(law.tokens, token)
  return place < 0 ? 0 : (law.weights[place] ?? 0)
}

/** Index of a token in an ascending list; -1 where it is not in it. */
export function placeOf(tokens: Int32Array, token: number): number {
  // Without gaps before it, a token stands at its own index: the common case for a law over the whole vocabulary.
  if (tokens[token] === token) return token
  let low = 0
  let high = tokens.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const here = tokens[middle] ?? 0
    if (here === token) return middle
    if (here < token) low = middle + 1
    else high = middle - 1
  }
  return -1
}

/** The most probable token; of equals the lowest. */
export function bestOf(law: Law): number {
  let best = 0
  for (let i = 1; i < law.weights.length; i++) if ((law.weights[i] ?? 0) > (law.weights[best] ?? 0)) best = i
  return law.tokens[best] ?? 0
}

/** The law of a draw after `token` was drawn and not put back; null where nothing is left. */
export function without(law: Law, token: number): Law | null {
  const place = placeOf(law.tokens, token)
  if (place < 0) return law
  const size = law.tokens.length - 1
  if (size === 0) return null
  const tokens = new Int32Array(size)
  const weights = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    const from = i < place ? i : i + 1
    tokens[i] = law.tokens[from] ?? 0
    weights[i] = law.weights[from] ?? 0
  }
  return normalised(tokens, weights)
}

/** Σ min(p, q): what one draft token is accepted with, and 1 minus the total variation distance. */
export function overlap(p: Law, q: Law): number {
  let sum = 0
  for (let i = 0; i < q.tokens.length; i++) {
    sum += Math.min(q.weights[i] ?? 0, probabilityOf(p, q.tokens[i] ?? 0))
  }
  return sum
}

/** norm((p - q)+): what a token is drawn from after a draft was rejected. null where q covers p. */
export function residual(p: Law, q: Law): Law | null {
  const weights = p.weights.map((weight, i) => Math.max(0, weight - probabilityOf(q, p.tokens[i] ?? 0)))
  const kept = [...p.tokens.keys()].filter((i) => (weights[i] ?? 0) > 0)
  if (kept.length === 0) return null
  return normalised(
    Int32Array.from(kept, (i) => p.tokens[i] ?? 0),
    Float64Array.from(kept, (i) => weights[i] ?? 0),
  )
}

/** Tokens of any of the laws, ascending. */
export function unionOfSupports(laws: readonly Law[]): Int32Array {
  let union = laws[0]?.tokens ?? new Int32Array(0)
  for (const { tokens } of laws.slice(1)) if (!covers(union, tokens)) union = merged(union, tokens)
  return union
}

function covers(union: Int32Array, tokens: Int32Array): boolean {
  if (union === tokens) return true
  let at = 0
  for (const token of tokens) {
    while (at < union.length && (union[at] ?? 0) < token) at += 1
    if (union[at] !== token) return false
  }
  return true
}

function merged(left: Int32Array, right: Int32Array): Int32Array {
  const both = new Int32Array(left.length + right.length)
  both.set(left)
  both.set(right, left.length)
  both.sort()
  return both.filter((token, i) => i === 0 || token !== both[i - 1])
}
