/** Log-probabilities of the model's own distribution, taken before anything changes the row. */
import { Leaders } from './leaders.ts'
import { Row } from './row.ts'

export interface TokenAndLogprob {
  readonly token: number
  /** Natural logarithm of the model's own probability: before bias, penalties, temperature and truncation. */
  readonly logprob: number
}

/** Wanted are the best few: deep enough for them, shallow enough to be quick. */
const depthNats = 12

export class Logprobs {
  readonly #row: Row
  readonly #leaders: Leaders
  readonly #count: number
  /** The row is changed in place afterwards; the chosen token's own logit must survive. */
  readonly #raw: Float32Array
  #logNormaliser = 0
  #top: TokenAndLogprob[] = []

  constructor(vocabularySize: number, count: number) {
    this.#row = new Row(vocabularySize)
    this.#leaders = new Leaders(this.#row.blocks)
    this.#raw = new Float32Array(vocabularySize)
    this.#count = count
  }

  read(logits: Float32Array): void {
    this.#raw.set(logits)
    const row = this.#row
    row.read(this.#raw, depthNats)
    const mass = row.massTotal({ reference: row.logitMax, sharpness: 1, logitMin: Number.NEGATIVE_INFINITY })
    this.#logNormaliser = row.logitMax + Math.log(mass)
    this.#top = []
    if (this.#count > 0) for (const token of this.#leaders.find(row, this.#count)) this.#top.push(this.#entry(token))
  }

  of(token: number): { logprob: number; top: TokenAndLogprob[] } {
    return { logprob: this.#entry(token).logprob, top: this.#top }
  }

  #entry(token: number): TokenAndLogprob {
    return { token, logprob: (this.#raw[token] ?? Number.NEGATIVE_INFINITY) - this.#logNormaliser }
  }
}
