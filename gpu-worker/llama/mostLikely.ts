/** The most likely token of a row of logits, and what the row's law is like, nearly. A row that holds no number is a fault of the model. */
import { Failure } from '#contracts/failure.ts'
import { decay64, decayScale } from '../core/sampling/exponential.ts'
import { blockTokens } from '../core/sampling/noise.ts'
import { Row } from '../core/sampling/row.ts'
import { type Law, probabilityOf } from '../core/speculation/law.ts'
import type { DraftToken } from '../core/speculation/stopping/stopRule.ts'

export interface MostLikely {
  readonly token: number
  readonly probability: number
  /** How much more probable it is than the second. */
  readonly margin: number
  /** Of the whole law, in nats. */
  readonly entropy: number
}

/** Blocks of tokens that come this near to the best are summed up token by token … */
const nearNats = 6
/** … of the others one in so many stands for all of them: what a stop rule or a controller is told need not be right to the last digit. */
const sampleEvery = 8

/** Reads rows of one vocabulary, one at a time: scratch memory is reused. */
export class LikeliestReader {
  readonly #row: Row

  constructor(vocabularySize: number) {
    this.#row = new Row(vocabularySize)
  }

  read(logits: Float32Array): MostLikely {
    const row = this.#row
    row.read(logits, nearNats)
    if (row.best < 0) throw new Failure('engine-fault', 'a row of the draft model holds no possible token')
    const near = { mass: 0, surprise: 0, second: 0 }
    const far = { mass: 0, surprise: 0, second: 0 }
    let farBlocks = 0
    for (let block = 0; block < row.blocks; block++) {
      const isNear = (row.blockTop[block] ?? 0) > row.exactAbove
      if (!isNear && farBlocks++ % sampleEvery !== 0) continue
      this.#add(block, isNear ? near : far)
    }
    const sampled = Math.ceil(farBlocks / sampleEvery)
    const scale = sampled === 0 ? 0 : farBlocks / sampled
    const mass = near.mass + scale * far.mass
    const surprise = near.surprise + scale * far.surprise
    const second = Math.max(near.second, far.second)
    return {
      token: row.best,
      probability: 1 / mass,
      margin: (1 - second) / mass,
      entropy: Math.log(mass) + surprise / mass,
    }
  }

  /** Masses relative to the best token's. */
  #add(block: number, sums: { mass: number; surprise: number; second: number }): void {
    const { logits, logitMax, best } = this.#row
    const end = Math.min((block + 1) * blockTokens, logits.length)
    for (let token = block * blockTokens; token < end; token++) {
      const below = logitMax - (logits[token] ?? 0)
      const mass = below === 0 ? 1 : decay64(below * decayScale)
      if (mass === 0) continue
      sums.mass += mass
      sums.surprise += mass * below
      if (mass > sums.second && token !== best) sums.second = mass
    }
  }
}

/** What a stop rule is told of it. */
export function draftTokenOf({ probability, margin, entropy }: MostLikely): DraftToken {
  return { chance: probability, law: { chanceMax: probability, entropy, margin } }
}

/** What a stop rule is told of a token that was drawn. */
export function drawnTokenOf(law: Law, token: number): DraftToken {
  return { ...believedTokenOf(law, token), isDrawn: true }
}

/** What it is told of the one that is believed to win, by a law of beliefs (`core/speculation/sameNoise.ts`). */
export function believedTokenOf(law: Law, token: number): DraftToken {
  let [most, second, entropy] = [0, 0, 0]
  for (const weight of law.weights) {
    if (weight > most) [most, second] = [weight, most]
    else if (weight > second) second = weight
    entropy -= weight * Math.log(weight)
  }
  return { chance: probabilityOf(law, token), law: { chanceMax: most, entropy, margin: most - second } }
}
