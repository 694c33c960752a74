/**
 * The two kinds of accident that drafting and verifying consist of. Algorithms ask for these instead of for uniforms, so that a test
 * can take every branch with its probability (`enumeration.fixture.ts`) where the worker takes one.
 */
import { blockWeights, type Law, placeOf } from './law.ts'

export interface Chance {
  /** True with this probability; always from 1 on, never at 0. */
  happens(probability: number): boolean
  draw(law: Law): number
  /** From the part of the law outside of `inside` (ascending), whose mass is `mass` > 0. */
  drawOutside(law: Law, inside: Int32Array, mass: number): number
}

/** One uniform in [0, 1) per question; draws by inverse distribution function, in the order of token ids. */
export function chanceFrom(uniform: () => number): Chance {
  return {
    happens: (probability) => uniform() < probability,
    draw: (law) => tokenAt(law, uniform()),
    drawOutside: (law, inside, mass) => tokenOutsideAt(law, inside, uniform() * mass),
  }
}

/** The token in whose part of the unit interval the point lies; rounding beyond the end means the last possible token. */
export function tokenAt(law: Law, point: number): number {
  return tokenOutsideAt(law, nothing, point)
}

const nothing = new Int32Array(0)

/** The same where tokens of `inside` have no part; the others keep theirs. Blocks without a hole are passed over as a whole. */
function tokenOutsideAt(law: Law, inside: Int32Array, point: number): number {
  if (law.tokenOutside !== undefined) return law.tokenOutside(inside, point)
  const { tokens, weights, blocks } = law
  let left = point
  let hole = 0
  for (let begin = 0; begin < weights.length; begin += blockWeights) {
    const end = Math.min(begin + blockWeights, weights.length)
    const block = blocks?.[begin / blockWeights]
    while (hole < inside.length && (inside[hole] ?? 0) < (tokens[begin] ?? 0)) hole += 1
    const hasHole = hole < inside.length && (inside[hole] ?? 0) <= (tokens[end - 1] ?? 0)
    if (block !== undefined && !hasHole && left >= block) {
      left -= block
      continue
    }
    for (let i = begin; i < end; i++) {
      const token = tokens[i] ?? 0
      while (hole < inside.length && (inside[hole] ?? 0) < token) hole += 1
      if (inside[hole] === token) continue
      left -= weights[i] ?? 0
      if (left < 0) return token
    }
  }
  return lastOutside(law, inside)
}

function lastOutside({ tokens, weights }: Law, inside: Int32Array): number {
  for (let i = weights.length - 1; i >= 0; i--) {
    const token = tokens[i] ?? 0
    if ((weights[i] ?? 0) > 0 && placeOf(inside, token) < 0) return token
  }
  throw new RangeError(`no token of ${tokens.length} is outside of ${inside.length}`)
}
