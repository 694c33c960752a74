/**
 * What a model says next to each of many prompts: its likeliest tokens with their log-probabilities, as clients get them.
 *
 * Only for calibration: no requests, no sampling. Prompt i goes to slot i modulo the slots, and a slot keeps what it holds up to where
 * its next prompt differs. So prompts that come in the same order again and again with the same beginnings (a judge's: reference by
 * reference) are computed once up to there.
 */
import { Failure } from '#contracts/failure.ts'
import type { TokenLogprob } from '#contracts/messages.ts'
import { Logprobs } from '../core/sampling/logprobs.ts'
import type { BatchSpan, ModelRunner } from '../modelRunner.ts'
import { tokenizeSegments } from '../tokenize.ts'

interface Asked {
  readonly number: number
  readonly slot: number
  readonly tokens: readonly number[]
  computed: number
}

export class NextTokens {
  readonly #runner: ModelRunner
  readonly #logprobs: Logprobs
  /** Tokens whose cells each slot has. */
  readonly #held: (readonly number[])[]

  /** The runner is this one's alone while it is used; its slots are emptied first. */
  constructor(runner: ModelRunner, topMax: number) {
    this.#runner = runner
    this.#logprobs = new Logprobs(runner.info.vocabularySize, topMax)
    this.#held = Array.from({ length: runner.info.slots }, () => [])
    for (const slot of this.#held.keys()) runner.truncate(slot, 0)
  }

  /** Undefined: a prompt that does not fit into the context. */
  async of(prompts: readonly string[]): Promise<(TokenLogprob | undefined)[]> {
    const said = prompts.map((): TokenLogprob | undefined => undefined)
    const { slots } = this.#runner.info
    for (let from = 0; from < prompts.length; from += slots) {
      const group = prompts.slice(from, from + slots)
      let waiting = group.flatMap((prompt, i) => this.#begin(prompt, from + i, i) ?? [])
      while (waiting.length > 0) {
        await this.#step(waiting, said)
        waiting = waiting.filter(({ computed, tokens }) => computed < tokens.length)
      }
    }
    return said
  }

  #begin(text: string, number: number, slot: number): Asked | null {
    const tokensMax = this.#runner.info.contextTokensMax
    const read = tokenizeSegments(this.#runner, [{ text, special: false }], { tokensMax, addBegin: true })
    if (read.kind === 'too-long' || read.tokens.length === 0) return null
    const { tokens } = read
    const held = this.#held[slot] ?? []
    let shared = 0
    // The last one is computed anew, because its row is what is asked for.
    while (shared < tokens.length - 1 && tokens[shared] === held[shared]) shared += 1
    this.#runner.truncate(slot, shared)
    this.#held[slot] = tokens
    return { number, slot, tokens, computed: shared }
  }

  async #step(waiting: readonly Asked[], said: (TokenLogprob | undefined)[]): Promise<void> {
    const spans: BatchSpan[] = []
    const ending: Asked[] = []
    let room = this.#runner.batchTokensMax
    for (const asked of waiting) {
      const { slot, computed, tokens } = asked
      const taken = tokens.slice(computed, computed + room)
      if (taken.length === 0) break
      room -= taken.length
      asked.computed += taken.length
      const isEnd = asked.computed === tokens.length
      spans.push({ slot, position: computed, tokens: taken, logitsForLast: isEnd ? 1 : 0 })
      if (isEnd) ending.push(asked)
    }
    const decoded = await this.#runner.decode(spans)
    if (decoded.kind !== 'decoded')
      throw new Failure('engine-fault', `the engine did not compute a step of ${spans.length} prompts`)
    for (const [row, { number }] of ending.entries()) said[number] = this.#read(this.#runner.logits(row))
  }

  #read(logits: Float32Array): TokenLogprob | undefined {
    this.#logprobs.read(logits)
    const { top } = this.#logprobs.of(0)
    const entries = top.map(({ token, logprob }) => ({ ...this.#spell(token), logprob }))
    const [best] = entries
    return best === undefined ? undefined : { ...best, top: entries }
  }

  #spell(token: number): { token: string; bytes: number[] } {
    const bytes = this.#runner.pieceOf(token)
    return { token: new TextDecoder().decode(bytes), bytes: [...bytes] }
  }
}
