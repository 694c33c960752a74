/**
 * Changes to the logits that depend on what the sequence already holds. Applied in place, before anything else looks at the row.
 *
 * Presence and frequency penalties count generated tokens only, as OpenAI documents them; the repetition penalty also counts the
 * prompt, as vLLM and Hugging Face do. Cost grows with the distinct tokens seen, not with the vocabulary.
 */
import type { Sampling } from '#contracts/sampling.ts'

export class Penalties {
  readonly #sampling: Sampling
  readonly #counting: boolean
  readonly #repeating: boolean
  /** Generated tokens and how often each occurred. */
  readonly #generated = new Map<number, number>()
  /** Distinct tokens of prompt and generation. */
  readonly #seen = new Set<number>()

  constructor(sampling: Sampling, prompt: readonly number[]) {
    this.#sampling = sampling
    this.#counting = sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0
    this.#repeating = sampling.repetitionPenalty !== 1
    if (this.#repeating) for (const token of prompt) this.#seen.add(token)
  }

  accept(token: number): void {
    if (this.#counting) this.#generated.set(token, (this.#generated.get(token) ?? 0) + 1)
    if (this.#repeating) this.#seen.add(token)
  }

  get active(): boolean {
    return this.#counting || this.#repeating || this.#sampling.logitBias.length > 0
  }

  apply(logits: Float32Array): void {
    for (const [token, bias] of this.#sampling.logitBias) add(logits, token, bias)
    if (this.#repeating) this.#applyRepetition(logits)
    if (!this.#counting) return
    const { presencePenalty, frequencyPenalty } = this.#sampling
    for (const [token, count] of this.#generated) add(logits, token, -presencePenalty - frequencyPenalty * count)
  }

  #applyRepetition(logits: Float32Array): void {
    const penalty = this.#sampling.repetitionPenalty
    for (const token of this.#seen) {
      const logit = logits[token]
      if (logit !== undefined) logits[token] = logit > 0 ? logit / penalty : logit * penalty
    }
  }
}

/** Tokens outside the vocabulary (a client may bias any id) are passed over: the model cannot choose them anyway. */
function add(logits: Float32Array, token: number, amount: number): void {
  const logit = logits[token]
  if (logit !== undefined) logits[token] = logit + amount
}
