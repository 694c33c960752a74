/**
 * Single-draft rejection: speculative sampling (Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318).
 *
 * X ~ q is accepted with probability min(1, p(X) / q(X)); otherwise the token is drawn from norm((p - q)+). P(accept) = Σ min(p, q),
 * the best possible for one draft. Judges the first child of each node; others cost nothing and only help by coincidence.
 */
import type { Chance } from '../chance.ts'
import { type Law, probabilityOf } from '../law.ts'
import { Remainder } from '../remainder.ts'
import { type Draft, verifierOf } from '../verifier.ts'

export const rejection = verifierOf('rejection', 'draws-in-order', (target, [first], chance) =>
  acceptOrResample(target, first, chance),
)

export function acceptOrResample(target: Law, { token, law }: Draft, chance: Chance): number {
  const remainder = new Remainder(target, law.tokens)
  if (chance.happens(remainder.probabilityOf(token) / probabilityOf(law, token))) return token
  remainder.takeAway(law)
  return remainder.draw(chance)
}
