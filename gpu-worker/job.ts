/**
 * One accepted request while the engine has it: its choices, its times, and what is still to be told about it.
 *
 * A job ends once: completed, cancelled or failed. The engine decides; this keeps the account and builds deltas and usage. A
 * token is chosen before its text is made (`takeDelta`), so that making text overlaps with the next step; only requests with
 * stop strings make it at once, because a stop decides whether there is a next token.
 */
import assert from 'node:assert/strict'
import type { Failure } from '#contracts/failure.ts'
import type { DispatchId, RouterId, TenantId } from '#contracts/ids.ts'
import type { Cancel, ChoiceDelta, FinishReason, Outcome, TokenLogprob, Usage } from '#contracts/messages.ts'
import type { Sampling } from '#contracts/sampling.ts'
import { createSampler, type Judge, type Sampled, type Sampler } from './core/sampling/sampler.ts'
import { appendToken, createSequence, generatedCount, type Sequence } from './core/sequence.ts'
import { createTextStream, type TextStream } from './core/text/textStream.ts'
import type { GrammarMatcher, ModelRunner } from './modelRunner.ts'

/** A request ready to run: checked, tokenised, with its grammars opened. The job owns the matchers. */
export interface GenerateRequest {
  readonly id: DispatchId
  readonly router: RouterId
  readonly tenant: TenantId
  /** The adapter it is computed under; null: the model as it is. */
  readonly expert: string | null
  /** How long it waited before it was sent here. */
  readonly waitedMs: number
  readonly priority: number
  readonly deadlineMs: number
  readonly deltaIntervalMs: number
  readonly prompt: readonly number[]
  /** Tokens that the answer may repeat; absent: nothing came along. */
  readonly hint?: readonly number[]
  /** Text to send before the first token (completions with `echo`); '' for none. */
  readonly echoText: string
  readonly choices: number
  readonly sampling: Sampling
  /** Resolved: never null, never over the context. */
  readonly tokensMax: number
  /** One per choice, or none. */
  readonly matchers: readonly GrammarMatcher[]
  /** How reports name this prompt, followed by `answer` where there is a whole one (`algorithms/prefixDigest.ts`). */
  digests(answer: string | null): string[]
}

export type JobEnd =
  | { readonly kind: 'completed' }
  | { readonly kind: 'cancelled'; readonly reason: Cancel['reason'] }
  | { readonly kind: 'failed'; readonly failure: Failure }

export interface JobTimes {
  readonly acceptedAt: number
  startedAt: number | null
  firstTokenAt: number | null
  lastTokenAt: number | null
}

export class Job {
  readonly request: GenerateRequest
  readonly choices: readonly Choice[]
  readonly times: JobTimes
  end: JobEnd | null = null
  cachedTokens = 0
  draftTokens = 0
  acceptedTokens = 0
  #promptDigests: readonly string[] | null = null

  constructor(options: { request: GenerateRequest; runner: ModelRunner; now: number; nextNumber: () => number }) {
    this.request = options.request
    this.times = { acceptedAt: options.now, startedAt: null, firstTokenAt: null, lastTokenAt: null }
    this.choices = Array.from(
      { length: options.request.choices },
      (_, index) => new Choice({ job: this, index, runner: options.runner, number: options.nextNumber() }),
    )
  }

  get promptDigests(): readonly string[] {
    return (this.#promptDigests ??= this.request.digests(null))
  }

  /** The choice that computes the prompt; the others copy its state. */
  get leader(): Choice {
    const [leader] = this.choices
    assert(leader !== undefined, 'a job has at least one choice')
    return leader
  }

  get isFinished(): boolean {
    return this.choices.every((choice) => choice.finish !== null)
  }

  get generatedTokens(): number {
    return this.choices.reduce((sum, choice) => sum + generatedCount(choice.sequence), 0)
  }

  usage(now: number): Usage {
    const { acceptedAt, startedAt, firstTokenAt, lastTokenAt } = this.times
    return {
      promptTokens: this.request.prompt.length,
      completionTokens: this.generatedTokens,
      cachedTokens: this.cachedTokens,
      draftTokens: this.draftTokens,
      acceptedTokens: this.acceptedTokens,
      waitMs: (startedAt ?? now) - acceptedAt,
      promptMs: startedAt === null ? 0 : (firstTokenAt ?? now) - startedAt,
      generationMs: firstTokenAt === null ? 0 : (lastTokenAt ?? firstTokenAt) - firstTokenAt,
    }
  }

  outcome(end: JobEnd, now: number): Outcome {
    switch (end.kind) {
      case 'completed':
        return { kind: 'completed', usage: this.usage(now) }
      case 'cancelled':
        return { kind: 'cancelled', usage: this.usage(now) }
      case 'failed':
        return { kind: 'failed', failure: end.failure.toMessage() }
      default:
        return end satisfies never
    }
  }

  /** What the choices gained since the last call; empty where nothing did. */
  takeDeltas(): ChoiceDelta[] {
    return this.choices.flatMap((choice) => choice.takeDelta() ?? [])
  }

  [Symbol.dispose](): void {
    for (const matcher of this.request.matchers) matcher[Symbol.dispose]()
  }
}

export class Choice {
  readonly job: Job
  readonly index: number
  readonly sequence: Sequence
  finish: FinishReason | null = null
  lastTokenAt: number | null = null
  /** Tokens that somebody else computes for it while it waits. */
  willCopy = 0
  readonly #runner: ModelRunner
  readonly #sampler: Sampler
  readonly #text: TextStream
  readonly #grammar: GrammarMatcher | undefined
  readonly #stopsOnText: boolean
  #untold: Sampled[] = []
  /** How many of the untold tokens have their text made. */
  #madeCount = 0
  #isStopped = false
  #tellText = ''
  #answer = ''

  constructor(options: { job: Job; index: number; runner: ModelRunner; number: number }) {
    const { request } = options.job
    this.job = options.job
    this.index = options.index
    this.#runner = options.runner
    this.sequence = createSequence({ number: options.number, prompt: request.prompt })
    this.#sampler = createSampler({
      sampling: { ...request.sampling, seed: this.seed },
      vocabularySize: options.runner.info.vocabularySize,
      endTokens: options.runner.endOfGenerationTokens(),
      prompt: request.prompt,
    })
    this.#text = createTextStream({ stop: request.sampling.stop })
    this.#stopsOnText = request.sampling.stop.length > 0
    this.#grammar = request.matchers[options.index]
    this.#tellText = request.echoText
  }

  /** The text so far; complete once the choice has finished. */
  get answer(): string {
    return this.#answer
  }

  /** Choice i of a request uses the seed + i. */
  get seed(): number {
    return (this.job.request.sampling.seed + this.index) >>> 0
  }

  /** Its law is not to be had from a row of logits alone. */
  get hasGrammar(): boolean {
    return this.#grammar !== undefined
  }

  /** Chooses the next token from one row and keeps it. Throws `Failure` where the row cannot be sampled. */
  choose(logits: Float32Array, judge?: Judge): number {
    const sampled = this.#sampler.sample({
      logits,
      position: this.sequence.tokens.length,
      ...(this.#grammar === undefined ? {} : { grammar: this.#grammar }),
      ...(judge === undefined ? {} : { judge }),
    })
    this.#sampler.accept(sampled.token)
    this.#grammar?.accept(sampled.token)
    appendToken(this.sequence, sampled.token)
    this.#untold.push(sampled)
    this.finish = this.#finishAfter(sampled.token)
    if (this.finish !== null) this.#finishText()
    return sampled.token
  }

  #finishAfter(token: number): FinishReason | null {
    if (this.#runner.isEndOfGeneration(token)) return 'stop'
    if (this.#stopsOnText && this.#makeText()) return 'stop'
    return generatedCount(this.sequence) >= this.job.request.tokensMax ? 'length' : null
  }

  /** At once: what the prefix cache says about this sequence needs the whole answer. */
  #finishText(): void {
    this.#makeText()
    this.#tell(this.#text.finish())
  }

  takeDelta(): ChoiceDelta | null {
    if (this.#untold.length === 0) return null
    this.#makeText()
    const gained = this.#untold
    this.#untold = []
    this.#madeCount = 0
    const logprobs = gained.flatMap((sampled) => this.#logprobOf(sampled) ?? [])
    const text = this.#tellText
    this.#tellText = ''
    return {
      index: this.index,
      text,
      tokens: gained.map(({ token }) => token),
      ...(logprobs.length > 0 ? { logprobs } : {}),
      ...(this.finish === null ? {} : { finish: this.finish }),
    }
  }

  /** Text of the tokens that have none yet. True when a stop string is complete. End tokens have no text, whatever they are called. */
  #makeText(): boolean {
    for (; this.#madeCount < this.#untold.length && !this.#isStopped; this.#madeCount++) {
      const token = this.#untold[this.#madeCount]?.token
      if (token === undefined || this.#runner.isEndOfGeneration(token)) continue
      const { text, stopped } = this.#text.push(this.#runner.pieceOf(token))
      this.#tell(text)
      this.#isStopped = stopped
    }
    return this.#isStopped
  }

  #tell(text: string): void {
    this.#tellText += text
    this.#answer += text
  }

  #logprobOf(sampled: Sampled): TokenLogprob | null {
    if (sampled.logprobs === undefined) return null
    const { logprob, top } = sampled.logprobs
    return {
      ...this.#spell(sampled.token),
      logprob: finite(logprob),
      top: top.map((entry) => ({ ...this.#spell(entry.token), logprob: finite(entry.logprob) })),
    }
  }

  #spell(token: number): { token: string; bytes: number[] } {
    const piece = Buffer.from(this.#runner.pieceOf(token))
    if (piece.length === 0) return { token: this.#runner.specialText(token), bytes: [] }
    return { token: piece.toString('utf8'), bytes: [...piece] }
  }
}

/** JSON has no infinity; OpenAI's convention for "never" is -9999. */
function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9_999
}
