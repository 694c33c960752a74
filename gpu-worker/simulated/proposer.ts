/**
 * The draft of the simulated engine: the target's own greedy continuation, each token right with a chance that is set: for all alike,
 * by position, by request, by time. Chance comes from the seed alone. Stands for a draft model, and costs nothing or what it is told to.
 */
import type { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Proposal, ProposalRequest } from '../core/speculation/proposer.ts'
import type { Proposer } from '../proposer.ts'
import { chainOf } from '../core/speculation/tokenTree.ts'
import { fillWindow } from './cells.ts'
import { uniform } from './faults.ts'
import { createLanguageModel, mix, windowLength } from './languageModel.ts'
import { createStepTimes, type StepTimes } from './stepTimes.ts'
import { firstWord } from './vocabulary.ts'

type Settings = Pick<SimulatedSettings, 'seed' | 'acceptance' | 'draftTokens'> & Partial<SimulatedSettings>

export type SimulatedProposerOptions = Settings & {
  /** Needed where drafting takes time or acceptance changes with it. */
  readonly clock?: Clock
}

export function createSimulatedProposer(options: SimulatedProposerOptions): Proposer {
  return new SimulatedProposer(options)
}

class SimulatedProposer implements Proposer {
  readonly method = 'simulated'
  readonly #options: SimulatedProposerOptions
  readonly #model
  readonly #nextChance: () => number
  readonly #times: StepTimes
  readonly #startedAt: number
  readonly #window = new Int32Array(windowLength)

  constructor(options: SimulatedProposerOptions) {
    this.#options = options
    this.#model = createLanguageModel(options.seed)
    this.#nextChance = uniform(mix(options.seed, 0xd4af))
    this.#times = createStepTimes(options)
    this.#startedAt = options.clock?.now() ?? 0
  }

  propose(requests: readonly ProposalRequest[]): Proposal[] | Promise<Proposal[]> {
    const proposals = requests.map((request) => this.#proposalFor(request))
    const depth = Math.max(0, ...proposals.map(({ tree }) => tree.tokens.length))
    const share = this.#options.draftStepShare ?? 0
    const { clock } = this.#options
    if (share === 0 || depth === 0 || clock === undefined) return proposals
    const contextTokens = requests.reduce((sum, { tokens }) => sum + tokens.length, 0) / requests.length
    const ms = depth * share * this.#times.rowsMs(requests.length, contextTokens)
    return new Promise((resolve) => void clock.after(ms, () => resolve(proposals)))
  }

  forget(): void {
    // Nothing is kept: each proposal is a function of the tokens shown and of chance.
  }

  /** The confidence is the same for all: what is set here must be learned from what happens. */
  #proposalFor({ key, tokens, tokensMax }: ProposalRequest): Proposal {
    const drafted = this.#continue(key, tokens, Math.min(tokensMax, this.#options.draftTokens))
    const confidence = drafted.map(() => this.#options.acceptance)
    return { key, method: this.method, tree: chainOf(drafted), confidence }
  }

  #continue(key: number, history: readonly number[], count: number): number[] {
    const tokens = history.slice(-windowLength)
    const drafted: number[] = []
    while (drafted.length < count) {
      fillWindow(tokens, tokens.length, this.#window, 0)
      const best = this.#model.best(this.#window, 0)
      const token = this.#nextChance() < this.#acceptanceAt(key, drafted.length) ? best : otherWord(best)
      drafted.push(token)
      tokens.push(token)
    }
    return drafted
  }

  /** `position` counts from 0. */
  #acceptanceAt(key: number, position: number): number {
    const { acceptance, acceptanceByPosition = [], acceptanceSpread = 0, seed } = this.#options
    const own = acceptanceSpread === 0 ? 0 : acceptanceSpread * (2 * (mix(seed, key) / 0x1_0000_0000) - 1)
    return own + (acceptanceByPosition[position] ?? acceptanceByPosition.at(-1) ?? this.#phase() ?? acceptance)
  }

  #phase(): number | undefined {
    const { acceptancePhases = [], clock } = this.#options
    const roundMs = acceptancePhases.reduce((sum, { forMs }) => sum + forMs, 0)
    if (roundMs === 0 || clock === undefined) return undefined
    let left = (clock.now() - this.#startedAt) % roundMs
    return acceptancePhases.find(({ forMs }) => (left -= forMs) < 0)?.acceptance
  }
}

/** Any word but `token`; where that is no word, the first one is always another. */
function otherWord(token: number): number {
  return token === firstWord ? token + 1 : firstWord
}
