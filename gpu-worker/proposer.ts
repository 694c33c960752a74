/**
 * Who proposes tokens, as the engine asks: what looks things up answers at once (`core/speculation/proposer.ts`), what computes on another
 * thread later. The engine waits for it before it decodes.
 */
import type { Proposal, ProposalRequest, Proposer as ProposerAtOnce } from './core/speculation/proposer.ts'

export interface Proposer extends Omit<ProposerAtOnce, 'propose'> {
  /** As there; a promise where it costs a model call. */
  propose(requests: readonly ProposalRequest[]): Proposal[] | Promise<Proposal[]>
}
