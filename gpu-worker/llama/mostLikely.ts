/** The most likely token of a row of logits, and what the row's law is like. A row that holds no number is a fault of the model. Pure. */
import { Failure } from '#contracts/failure.ts'
import { decay64, decayScale } from '../core/sampling/exponential.ts'
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

/** What is less likely than the best by this much (as a logarithm) adds nothing that matters. */
const depth = 16

export function mostLikely(logits: Float32Array): MostLikely {
  let token = -1
  let most = Number.NEGATIVE_INFINITY
  let second = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? 0
    if (value <= second || Number.isNaN(value)) continue
    if (value <= most) {
      second = value
      continue
    }
    second = most
    most = value
    token = i
  }
  if (token < 0) throw new Failure('engine-fault', 'a row of the draft model holds no numbers')
  let sum = 0
  let surprise = 0
  for (let i = 0; i < logits.length; i++) {
    const below = most - (logits[i] ?? 0)
    if (!(below < depth)) continue
    const mass = below === 0 ? 1 : decay64(below * decayScale)
    sum += mass
    surprise += mass * below
  }
  return {
    token,
    probability: 1 / sum,
    margin: (1 - Math.exp(second - most)) / sum,
    entropy: Math.log(sum) + surprise / sum,
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
