/** What a choice has gained so far, joined: the whole answer of a request that does not stream, or what a slow reader is owed. */
import type { ChoiceDelta, FinishReason, TokenLogprob } from '#contracts/messages.ts'
import type { Choice } from './format.ts'

interface Gained {
  text: string
  finish: FinishReason | null
  logprobs: TokenLogprob[] | null
}

export class Gathering {
  readonly #choices = new Map<number, Gained>()
  #characters = 0

  /** Held characters, logprobs counted as if they were text. */
  get characters(): number {
    return this.#characters
  }

  add(firstChoice: number, deltas: readonly ChoiceDelta[]): void {
    for (const delta of deltas) {
      const gained = this.#gained(firstChoice + delta.index)
      gained.text += delta.text
      gained.finish = delta.finish ?? gained.finish
      this.#characters += delta.text.length
      if (delta.logprobs === undefined) continue
      gained.logprobs ??= []
      for (const token of delta.logprobs) {
        gained.logprobs.push(token)
        this.#characters += charactersPerLogprob * (1 + token.top.length)
      }
    }
  }

  drop(firstChoice: number, choices: number): void {
    for (let index = firstChoice; index < firstChoice + choices; index++) this.#choices.delete(index)
  }

  /** In order of index; leaves nothing behind. */
  take(): Choice[] {
    const choices = [...this.#choices]
      .sort(([a], [b]) => a - b)
      .map(([index, { text, finish, logprobs }]) => ({ index, text, finish, logprobs, offset: 0 }))
    this.#choices.clear()
    this.#characters = 0
    return choices
  }

  #gained(index: number): Gained {
    const found = this.#choices.get(index)
    if (found !== undefined) return found
    const gained = { text: '', finish: null, logprobs: null }
    this.#choices.set(index, gained)
    return gained
  }
}

const charactersPerLogprob = 64
