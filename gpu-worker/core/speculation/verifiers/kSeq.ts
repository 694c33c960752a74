/**
 * K-SEQ (SpecTr, arXiv 2310.15141): k independent drafts, near the optimal transport.
 *
 * Each draft X is accepted with probability min(1, p(X) / (ρ q(X))), the first acceptance wins; with β(ρ) = Σ min(p / ρ, q) that is
 * P(accept) = a = 1 - (1 - β)ᵏ. Otherwise the token is drawn from norm(p - min(p / ρ, q) a / β). This is a law where a ≤ ρ β; ρ* is
 * the smallest such ρ in [1, k], and gives at least 1 - (1 - 1/k)ᵏ of the optimal acceptance. k = 1 is single-draft rejection.
 *
 * Sequence version: paths that agree with the accepted prefix stay, and the next position is judged with as many drafts as stayed,
 * with a ρ* of its own (`walk` keeps equal siblings together).
 */
import { type Law, probabilityOf } from '../law.ts'
import { Remainder } from '../remainder.ts'
import { verifierOf } from '../verifier.ts'

export interface KSeqPlan {
  readonly rho: number
  readonly beta: number
  readonly acceptance: number
}

const bisections = 52

export const kSeq = verifierOf('k-seq', 'independent-draws', (target, drafts, chance) => {
  const [{ law }] = drafts
  const { rho, beta, acceptance } = planKSeq(target, law, drafts.length)
  if (beta === 0) return chance.draw(target)
  const remainder = new Remainder(target, law.tokens)
  for (const { token } of drafts)
    if (chance.happens(remainder.probabilityOf(token) / (rho * probabilityOf(law, token)))) return token
  remainder.reduce((p, token) => (Math.min(p / rho, probabilityOf(law, token)) * acceptance) / beta)
  return remainder.draw(chance)
})

/** ρ* by bisection. Only tokens of q's support count: elsewhere min(p / ρ, q) = 0. */
export function planKSeq(p: Law, q: Law, drafts: number): KSeqPlan {
  const onSupport = Float64Array.from(q.tokens, (token) => probabilityOf(p, token))
  const planOf = (rho: number) => {
    let beta = 0
    for (let i = 0; i < onSupport.length; i++) beta += Math.min((onSupport[i] ?? 0) / rho, q.weights[i] ?? 0)
    beta = Math.min(1, beta)
    return { rho, beta, acceptance: 1 - (1 - beta) ** drafts }
  }
  const isLaw = ({ rho, beta, acceptance }: KSeqPlan) => acceptance <= rho * beta
  const least = planOf(1)
  if (isLaw(least)) return least
  let low = 1
  let best = planOf(drafts)
  for (let i = 0; i < bisections; i++) {
    const middle = planOf((low + best.rho) / 2)
    if (isLaw(middle)) best = middle
    else low = middle.rho
  }
  return best
}
