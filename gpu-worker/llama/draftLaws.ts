/**
 * The laws that a draft model's tokens are picked from, and its chance. Where a verifier judges the draws by their laws chance is the draft's
 * own, and never the noise that the target's tokens are drawn with; where none does, that noise says which token is to be expected.
 */
import { uniform } from '../core/sampling/noise.ts'
import { type Chance, chanceFrom } from '../core/speculation/chance.ts'
import type { Law } from '../core/speculation/law.ts'
import { LawReader, type Processing } from '../core/speculation/processedLaw.ts'
import type { Drawing, ProposalRequest } from '../core/speculation/proposer.ts'
import { believedUnder } from '../core/speculation/sameNoise.ts'
import { LikeliestReader, type MostLikely } from './mostLikely.ts'

/** Beyond the head of a law is little to be accepted, and every judge walks through it. */
const tokensMax = 64
/** A stream that nobody else draws from. */
const drawSeed = 0xd4af_7001
/** What the likeliest tokens are chosen by: the model's own law. */
const unprocessed: Processing = { temperature: 1, topK: 0, minP: 0, topP: 1 }

export class DraftLaws {
  readonly #reader: LawReader
  readonly #likeliest: LikeliestReader
  readonly #size: number

  /** `size`: tokens that draft and target share; what stands behind them in a row of logits is nobody's token. */
  constructor(size: number) {
    this.#size = size
    this.#reader = new LawReader(size)
    this.#likeliest = new LikeliestReader(size)
  }

  /** The likeliest token, where one alone is wanted. */
  likeliest(logits: Float32Array): MostLikely {
    return this.#likeliest.read(logits.subarray(0, this.#size))
  }

  /** What the token at this position is picked from. */
  read(logits: Float32Array, drawing: Drawing | null, position: number): Law {
    const processing = drawing?.processing ?? unprocessed
    const law = this.#reader.read(logits.subarray(0, this.#size), { ...processing, tokensMax })
    if (drawing?.kind !== 'same-noise') return law
    return believedUnder({ seed: drawing.seed, position, temperature: processing.temperature }, law)
  }

  /** Of one draft: the same for the same sequence at the same place, whatever else is drafted. */
  chanceOf({ key, tokens }: Pick<ProposalRequest, 'key' | 'tokens'>): Chance {
    let draws = 0
    return chanceFrom(() => uniform(drawSeed ^ key, tokens.length, draws++))
  }
}
