/**
 * Greedy multi-draft (Towards Optimal Multi-Draft Speculative Decoding, arXiv 2502.18779): the draft's n - 1 most probable tokens, Top,
 * and one draw X from q̃ = norm(q outside of Top). With drafts chosen like this the optimal verifier is simple.
 *
 * Accept X with probability min(1, p(X) / q̃(X)); otherwise draw from p on Top and (p - q̃)+ elsewhere, and a token of Top is a match
 * too. P(accept) = P(Top) + Σ min(p, q̃) outside of Top. As q̃ has nothing on Top, that residual is (p - q̃)+ itself: single-draft
 * rejection of the last child, while `walk` sees the matches.
 */
import { verifierOf } from '../verifier.ts'
import { acceptOrResample } from './rejection.ts'

export const greedyMultiDraft = verifierOf('greedy-multi-draft', 'top-and-draw', (target, drafts, chance) =>
  acceptOrResample(target, drafts.at(-1) ?? drafts[0], chance),
)
