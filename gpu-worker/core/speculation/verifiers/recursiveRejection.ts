/**
 * Recursive rejection sampling (RRS; SpecInfer, arXiv 2305.09781; without replacement as in Sequoia and DySpec, arXiv 2410.11744).
 *
 * R := p. For each draft X in the order of drawing, D the law it was drawn from: accept with probability min(1, R(X) / D(X));
 * otherwise R := norm((R - D)+). When none was accepted, draw from R. With or without replacement is one rule, because a tree names
 * the law of each draw: q each time, or q without the siblings drawn before, renormalised.
 */
import { probabilityOf, unionOfSupports } from '../law.ts'
import { Remainder } from '../remainder.ts'
import { verifierOf } from '../verifier.ts'

export const recursiveRejection = verifierOf('recursive-rejection', 'draws-in-order', (target, drafts, chance) => {
  const remainder = new Remainder(target, unionOfSupports(drafts.map(({ law }) => law)))
  for (const { token, law } of drafts) {
    if (chance.happens(remainder.probabilityOf(token) / probabilityOf(law, token))) return token
    remainder.takeAway(law)
  }
  return remainder.draw(chance)
})
