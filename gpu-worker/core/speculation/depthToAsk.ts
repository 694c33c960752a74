/** Whom to ask for a tree, and whom for a chain. Pure. */
import type { StepFacts } from './controller.ts'
import type { ProposerMethod } from './proposer.ts'

/** Those that answer with a tree where one may be verified. */
const branching: ReadonlySet<ProposerMethod> = new Set(['trigram', 'draft'])

/** How long a path to ask for: shorter than all nodes means that some may be spent on branches. */
export function depthToAsk(
  method: ProposerMethod,
  tokensMax: number,
  { forksMax = 0 }: Pick<StepFacts, 'forksMax'>,
): number {
  return forksMax > 0 && branching.has(method) ? Math.max(1, tokensMax - 1) : tokensMax
}
