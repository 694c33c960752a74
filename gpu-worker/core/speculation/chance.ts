/**
 * The two kinds of accident that drafting and verifying consist of. Algorithms ask for these instead of for uniforms, so that a test
 * can take every branch with its probability (`enumeration.fixture.ts`) where the worker takes one.
 */
import type { Law } from './law.ts'

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
export function tokenAt({ tokens, weights }: Law, point: number): number {
  let left = point
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i] ?? 0
    if (left < 0) return tokens[i] ?? 0
  }
  return tokens[weights.findLastIndex((weight) => weight > 0)] ?? 0
}

function tokenOutsideAt({ tokens, weights }: Law, inside: Int32Array, point: number): number {
  let left = point
  let last = -1
  let next = 0
  for (let i = 0; i < weights.length; i++) {
    const token = tokens[i] ?? 0
    while (next < inside.length && (inside[next] ?? 0) < token) next += 1
    if (inside[next] === token) continue
    last = token
    left -= weights[i] ?? 0
    if (left < 0) return token
  }
  if (last < 0) throw new RangeError(`no token of ${tokens.length} is outside of ${inside.length}`)
  return last
}
