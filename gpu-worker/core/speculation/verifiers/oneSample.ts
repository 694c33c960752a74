/**
 * One sample per node: the target's own token decides, and drafts only guess it (ADED, arXiv 2407.12021, with its draw made right:
 * one per node, not one per path, which would give a node shared by two paths two attempts).
 *
 * Lossless whatever the tree, because drafts never see the draw. Acceptance is Σ of p over the children, less than by rejection where
 * drafts are draws, and as good as it gets where they are not (n-grams).
 */
import { type Round, type Verifier, walk } from '../verifier.ts'

export const oneSample: Verifier = {
  name: 'one-sample',
  needs: 'nothing',
  verify: (round) => walk(round.tree, (node) => round.chance.draw(round.targetLaw(node))),
}

/**
 * The coupled verifier, the one in use: the token at a node is a pure function of (seed, position) and the target's logits there, the
 * very token that the sampler would choose without drafts. So the text does not depend on speculation at all: same seed, same text.
 * `choose` is asked from the root downwards and only along the accepted path, so it may carry state (penalties, grammar).
 */
export function coupled(choose: (node: number) => number) {
  return {
    name: 'coupled',
    needs: 'nothing',
    verify: ({ tree }: Pick<Round, 'tree'>) => walk(tree, choose),
  } as const satisfies Verifier
}
