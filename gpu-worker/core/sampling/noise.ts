/**
 * The noise that sampling uses: a pure function of (seed, position, token). There is no generator and no state, so a token does
 * not depend on batch, draft length, worker or resume: whoever knows seed and position knows the noise.
 *
 * Form. Token i gets an exponential "race time" E_i; of a set of tokens the one with the least E_i / weight_i is drawn, which is
 * exactly the categorical law of the weights (equivalently: the largest log-weight plus Gumbel noise, Gumbel = -log E). Taking
 * tokens out of the set leaves everyone else's E alone. So the winner over a set is also the winner over every subset that
 * contains it: truncation and grammar can test the winner afterwards, and two similar laws mostly draw the same token.
 *
 * Lazy evaluation. Race times are independent Exponential(1) variables, but are generated per block of 64 tokens from the top:
 * the block's least time is Exponential(64), its place is uniform, and the others are that time plus fresh Exponential(1)
 * variables (no memory). Whoever only needs the winner looks at one number per block and opens the few blocks that can win.
 */
export const blockTokens = 64
const blockShift = 6
const twoToMinus53 = 2 ** -53

/** Two 32-bit keys stand for (seed, position); computed once per row and passed to everything below. */
export function firstKey(seed: number, position: number): number {
  return scramble(seed ^ 0x5bf0_3635, Math.imul(position, 0x9e37_79b1) ^ 0x1656_67b1)
}

export function secondKey(seed: number, position: number): number {
  return scramble(Math.imul(seed, 0x85eb_ca6b) ^ 0x27d4_eb2f, position ^ 0xc2b2_ae35)
}

/** Uniform in (0, 1), 53 bits. `lane` separates independent draws at one position. */
export function uniform(seed: number, position: number, lane = 0): number {
  const first = firstKey(seed, position)
  const second = secondKey(seed, position)
  return fraction(bits(first, second, 2 * lane), bits(first, second, 2 * lane + 1))
}

/** 32 bits that decide how early a block's least time is; the upper bound `blockScoreMax` needs nothing else. */
export function blockBits(first: number, second: number, block: number): number {
  return bits(first, second, 4 * block)
}

/** Upper bound of -log of the block's least race time, from the first 32 bits alone (a few times cheaper than the value). */
export function blockScoreMax(high: number): number {
  return logBlockTokens + (Math.clz32(high) + 1) * Math.LN2
}
const logBlockTokens = Math.log(blockTokens)

/** Least race time in the block. */
export function blockTime(first: number, second: number, block: number): number {
  return exponential(blockBits(first, second, block), bits(first, second, 4 * block + 1)) / blockTokens
}

/** The token that has the block's least race time. */
export function blockWinner(first: number, second: number, block: number): number {
  return (block << blockShift) + (bits(first, second, 4 * block + 1) & (blockTokens - 1))
}

/** Race time of a token beyond its block's least one; does not apply to the block's winner. */
export function tokenDelay(first: number, second: number, token: number): number {
  return exponential(bits(first, second, 4 * token + 2), bits(first, second, 4 * token + 3))
}

/** Race time of one token: what the laws above define, for callers with few tokens. */
export function raceTime(first: number, second: number, token: number): number {
  const block = token >> blockShift
  const least = blockTime(first, second, block)
  return blockWinner(first, second, block) === token ? least : least + tokenDelay(first, second, token)
}

/** Uses all of `high` and the upper 21 bits of `low`: the lower ones place the block's winner and must stay independent. */
function fraction(high: number, low: number): number {
  return ((high >>> 0) * 2 ** 21 + (low >>> 11) + 0.5) * twoToMinus53
}

function exponential(high: number, low: number): number {
  return -Math.log1p(-fraction(high, low))
}

function bits(first: number, second: number, counter: number): number {
  return scramble(counter ^ first, second)
}

/** Two rounds of a 32-bit finaliser with measured low bias ("lowbias32"), the second one keyed. */
function scramble(value: number, key: number): number {
  return finish(finish(Math.imul(value, 0x9e37_79b1)) + key)
}

function finish(value: number): number {
  let x = value ^ (value >>> 16)
  x = Math.imul(x, 0x21f0_aaad)
  x ^= x >>> 15
  x = Math.imul(x, 0x735a_2d97)
  return x ^ (x >>> 15)
}
