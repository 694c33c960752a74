/**
 * How good a verifier can be: the optimal acceptance α* of n drafts at one node (Towards Optimal Multi-Draft Speculative Decoding,
 * arXiv 2502.18779), against which `measured / α*` is reported.
 *
 * Over all couplings of Y ~ p with the drafts X₁ … Xₙ,
 *   max P(Y ∈ {X₁ … Xₙ}) = min over sets H of tokens of P(H) + 1 - Pr(all n drafts lie in H),
 * and the minimiser is a beginning of the tokens sorted by q / p, descending. So one sort and one scan. Tokens that q never draws come
 * last and only add to P(H), so the scan ends with q's support. Not for a step: for calibration and for a sample of nodes.
 */
import { type Law, overlap, probabilityOf } from './law.ts'

/** Drafts drawn independently: Pr = Q(H)ⁿ. */
export function optimalWithReplacement(p: Law, q: Law, drafts: number): number {
  let best = 1
  for (const { target, draft } of beginningsOf(p, q)) best = Math.min(best, target + 1 - draft ** drafts)
  return best
}

/**
 * Drafts drawn one after the other and not put back. For n = 2 in closed form, Pr = Q(H) A(H) - C(H) with A = Σ q / (1 - q) and
 * C = Σ q² / (1 - q); beyond that by `raceInside`. A law with fewer tokens than drafts yields all of them.
 */
export function optimalWithoutReplacement(p: Law, q: Law, drafts: number): number {
  const count = Math.min(drafts, q.tokens.length)
  if (count === 1) return overlap(p, q)
  const isSure = q.weights.some((weight) => weight > sureMin)
  return count === 2 && !isSure ? optimalOfTwo(p, q) : optimalByRace(p, q, count)
}

/** P(Top) + Σ min(p, q̃) outside of Top: the acceptance of `greedyMultiDraft`, the best possible for its drafts. */
export function greedyAcceptance(p: Law, q: Law, drafts: number): number {
  const places = [...q.tokens.keys()].sort((a, b) => (q.weights[b] ?? 0) - (q.weights[a] ?? 0) || a - b)
  const top = places.slice(0, drafts - 1)
  const rest = places.slice(drafts - 1)
  const restMass = rest.reduce((sum, place) => sum + (q.weights[place] ?? 0), 0)
  const at = (place: number) => probabilityOf(p, q.tokens[place] ?? 0)
  return (
    top.reduce((sum, place) => sum + at(place), 0) +
    rest.reduce((sum, place) => sum + Math.min(at(place), (q.weights[place] ?? 0) / restMass), 0)
  )
}

/**
 * Of these siblings, by how they came about, which their laws tell: one draw, draws put back or not, the best tokens and a draw. Those
 * that nobody drew cannot be made to coincide with anything: the target's own probability of them is all there is.
 */
export function optimalOf(p: Law, siblings: readonly { readonly token: number; readonly law: Law | null }[]): number {
  const laws = siblings.flatMap(({ law }) => law ?? [])
  const [first, second] = laws
  const last = laws.at(-1)
  const massOf = (tokens: readonly number[]) => [...new Set(tokens)].reduce((sum, x) => sum + probabilityOf(p, x), 0)
  const tokens = siblings.map(({ token }) => token)
  if (first === undefined || last === undefined || laws.length < siblings.length) return massOf(tokens)
  if (second === undefined) return overlap(p, first)
  if (laws.slice(0, -1).every((law) => law.tokens.length === 1)) return massOf(tokens.slice(0, -1)) + overlap(p, last)
  const isPutBack = probabilityOf(second, tokens[0] ?? -1) > 0
  return isPutBack
    ? optimalWithReplacement(p, first, siblings.length)
    : optimalWithoutReplacement(p, first, siblings.length)
}

/** The closed form divides by 1 - q: beyond this it loses the digits that a bound needs. */
const sureMin = 0.999

interface Ratio {
  readonly target: number
  readonly draft: number
}

/** Both probabilities of q's tokens, q / p descending (p = 0 first). */
function byRatio(p: Law, q: Law): Ratio[] {
  const pairs = Array.from(q.tokens, (token, i) => ({ target: probabilityOf(p, token), draft: q.weights[i] ?? 0 }))
  return pairs.sort((a, b) => b.draft * a.target - a.draft * b.target)
}

/** P(H) and Q(H) of each beginning H, the empty one excepted, where the value is 1. */
function* beginningsOf(p: Law, q: Law): Generator<Ratio> {
  let target = 0
  let draft = 0
  for (const pair of byRatio(p, q)) {
    target += pair.target
    draft = Math.min(1, draft + pair.draft)
    yield { target, draft }
  }
}

function optimalOfTwo(p: Law, q: Law): number {
  let best = 1
  const sum = { target: 0, draft: 0, odds: 0, squares: 0 }
  for (const { target, draft } of byRatio(p, q)) {
    sum.target += target
    sum.draft += draft
    sum.odds += draft / (1 - draft)
    sum.squares += (draft * draft) / (1 - draft)
    best = Math.min(best, sum.target + 1 - (sum.draft * sum.odds - sum.squares))
  }
  return best
}

/**
 * Draws without replacement are the order of arrival in a race, where token x arrives at an exponential time of rate q(x). All n drafts
 * lie in H if n tokens of H have arrived before the first one outside, which comes at a time of rate 1 - Q(H):
 *   Pr = ∫ (1 - Q) exp(-(1 - Q) t) Pr(at least n of H arrived by t) dt.
 * Arrivals are independent given t, so one more token in H updates the law of their number in O(n); all beginnings share the points in
 * time. In log t the integrand is smooth and dies off on both sides, so the trapezoid rule at a step of 1/4 is exact to rounding.
 */
function optimalByRace(p: Law, q: Law, drafts: number): number {
  const pairs = byRatio(p, q)
  const outside = massesBehind(pairs)
  const inside = new Float64Array(pairs.length)
  // Until even the rarest token has arrived for certain.
  const logTimeMax = 4 - Math.log(Math.min(...q.weights))
  for (let logTime = logTimeMin; logTime <= logTimeMax; logTime += logTimeStep) {
    const time = Math.exp(logTime)
    const arrived = new Float64Array(drafts)
    arrived[0] = 1
    for (const [i, { draft }] of pairs.entries()) {
      addArrival(arrived, -Math.expm1(-draft * time))
      const rate = outside[i] ?? 0
      const fewer = arrived.reduce((sum, chance) => sum + chance, 0)
      inside[i] = (inside[i] ?? 0) + rate * time * Math.exp(-rate * time) * Math.max(0, 1 - fewer) * logTimeStep
    }
  }
  let target = 0
  let best = 1
  for (const [i, pair] of pairs.entries()) {
    target += pair.target
    // Nothing is outside of the whole support: every draft is inside.
    best = Math.min(best, target + 1 - (i === pairs.length - 1 ? 1 : (inside[i] ?? 0)))
  }
  return best
}

/** Before this, the chance that three drafts have arrived is below 1e-17. */
const logTimeMin = -14
const logTimeStep = 0.25

/** 1 - Q of each beginning, summed from the end so that a small rest keeps its digits. */
function massesBehind(pairs: readonly Ratio[]): Float64Array {
  const behind = new Float64Array(pairs.length)
  for (let i = pairs.length - 2; i >= 0; i--) behind[i] = (behind[i + 1] ?? 0) + (pairs[i + 1]?.draft ?? 0)
  return behind
}

/** `arrived[j]` is the chance that exactly j have arrived; more than it holds are not counted. */
function addArrival(arrived: Float64Array, chance: number): void {
  for (let j = arrived.length - 1; j >= 0; j--)
    arrived[j] = (arrived[j] ?? 0) * (1 - chance) + (arrived[j - 1] ?? 0) * chance
}
