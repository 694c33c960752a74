/**
 * An answer that is held back until somebody has decided what becomes of it: judged as a whole, or after its first tokens while it is
 * still being written. Then it goes out, what is there at once and the rest as it comes, or it is thrown away and nobody has seen it.
 *
 * Bounded: one that outgrows what may be held ends as a failure, and whoever made it cancels it. `judgeable` never rejects.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta } from '#contracts/messages.ts'
import type { Choice } from './openai/format.ts'
import { Gathering } from './openai/gather.ts'
import type { RequestOutcome, ResponseSink } from './request.ts'

export interface HeldOptions {
  /** How many choices there will be. */
  readonly choices: number
  /** Enough of each choice to judge it; null: the whole answer. */
  readonly tokens: number | null
}

/** `text`: what there is of each choice, in order. */
export type Judgeable =
  | { readonly kind: 'text'; readonly texts: readonly string[]; readonly tokens: number }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'cancelled' }

export class HeldAnswer implements ResponseSink {
  readonly judgeable: Promise<Judgeable>
  readonly #judgeable: (judgeable: Judgeable) => void
  readonly #options: HeldOptions
  #gathering = new Gathering()
  /** Of each choice, and whether it has ended. */
  readonly #tokens: number[]
  readonly #hasEnded: boolean[]
  #outcome: RequestOutcome | null = null
  #released: ResponseSink | null = null
  /** The choices as they were looked at, which are given out with the rest; null: not yet. */
  #looked: readonly Choice[] | null = null

  constructor(options: HeldOptions) {
    const { promise, resolve } = Promise.withResolvers<Judgeable>()
    this.judgeable = promise
    this.#judgeable = resolve
    this.#options = options
    this.#tokens = Array.from({ length: options.choices }, () => 0)
    this.#hasEnded = Array.from({ length: options.choices }, () => false)
  }

  /** How many there are. */
  get choices(): number {
    return this.#options.choices
  }

  /** What it ended with; null while it is being written. */
  get outcome(): RequestOutcome | null {
    return this.#outcome
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    if (this.#released !== null) {
      this.#released.delta(firstChoice, choices)
      return
    }
    if (this.#outcome !== null) return
    this.#gathering.add(firstChoice, choices)
    for (const { index, tokens, finish } of choices)
      this.#count(firstChoice + index, tokens.length, finish !== undefined)
    if (this.#gathering.characters > limits.router.innerAnswerCharactersMax) this.#giveUp()
    else if (this.#isEnough()) this.#look()
  }

  restart(firstChoice: number, choices: number): void {
    this.#gathering.drop(firstChoice, choices)
    this.#tokens.fill(0, firstChoice, firstChoice + choices)
    this.#hasEnded.fill(false, firstChoice, firstChoice + choices)
  }

  end(outcome: RequestOutcome): void {
    if (this.#released !== null) {
      this.#released.end(outcome)
      return
    }
    this.#outcome ??= outcome
    if (this.#outcome.kind === 'completed') this.#look()
    else this.#judgeable(this.#outcome)
  }

  /** To the client with it: everything that was held now, the rest as it comes, the end too. Call once. */
  release(sink: ResponseSink): void {
    this.#released = sink
    const rest = this.#gathering.take()
    for (const choices of [this.#looked ?? [], rest]) if (choices.length > 0) sink.delta(0, choices.map(deltaOf))
    if (this.#outcome !== null) sink.end(this.#outcome)
  }

  #count(choice: number, tokens: number, hasEnded: boolean): void {
    this.#tokens[choice] = (this.#tokens[choice] ?? 0) + tokens
    this.#hasEnded[choice] ||= hasEnded
  }

  #isEnough(): boolean {
    const { tokens } = this.#options
    if (tokens === null || this.#looked !== null) return false
    return this.#tokens.every((count, choice) => count >= tokens || this.#hasEnded[choice] === true)
  }

  #look(): void {
    if (this.#looked !== null) return
    const looked = this.#gathering.take()
    this.#looked = looked
    const texts = this.#tokens.map((_, choice) => looked.find(({ index }) => index === choice)?.text ?? '')
    this.#judgeable({ kind: 'text', texts, tokens: this.#tokens.reduce((sum, count) => sum + count, 0) })
  }

  #giveUp(): void {
    const message = `an answer of more than ${limits.router.innerAnswerCharactersMax} characters cannot be held back`
    this.#outcome = { kind: 'failed', failure: new Failure('aborted', message) }
    this.#gathering = new Gathering()
    this.#judgeable(this.#outcome)
  }
}

function deltaOf({ index, text, logprobs, finish }: Choice): ChoiceDelta {
  return {
    index,
    text,
    tokens: [],
    ...(logprobs === null ? {} : { logprobs: [...logprobs] }),
    ...(finish === null ? {} : { finish }),
  }
}
