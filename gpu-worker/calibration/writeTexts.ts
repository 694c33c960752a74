/**
 * Lets a model write answers to prompts, as many at a time as its runner has slots, and gives back their tokens.
 *
 * Only for calibration: no requests, no streaming, no deadlines. A slot that has become free takes the next prompt in the same step,
 * so batches have no gaps. What is written depends on prompts, model and seed alone (as far as the runner's results do).
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import type { ChatMessage } from '#contracts/messages.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { silentLog } from '#runtime/log.ts'
import { renderChat, wantsBegin } from '../chat/template.ts'
import { createSampler, type Sampler } from '../core/sampling/sampler.ts'
import type { BatchSpan, ModelRunner } from '../modelRunner.ts'
import { openTemplate } from '../prepare.ts'
import { type Tokenized, tokenizeSegments } from '../tokenize.ts'

export interface WritingOptions {
  /** Of one answer. */
  readonly tokensMax: number
  readonly temperature: number
  readonly seed: number
  /** What else a request gets that does not say it. */
  readonly defaults?: NonNullable<WritingRequest['sampling']>
  /** Told of a prompt that leaves no room for an answer, which is then left out; absent: it is a failure. */
  readonly onTooLong?: (number: number) => void
}

/** A conversation to continue, with what it says of its own sampling. */
export interface WritingRequest {
  readonly messages: readonly ChatMessage[]
  readonly sampling?: Partial<Pick<Sampling, 'temperature' | 'topP' | 'topK' | 'minP'>>
  readonly tokensMax?: number
}

type Said = Record<'temperature' | 'topP' | 'topK' | 'minP', number | null | undefined>

/** Without what was left open. */
export function whatIsSaid(settings: Said): NonNullable<WritingRequest['sampling']> {
  const said = Object.entries(settings).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, value] as const] : [],
  )
  return Object.fromEntries(said)
}

export interface Written {
  /** Which prompt it answers, from 0. */
  readonly number: number
  readonly prompt: readonly number[]
  /** End token included, where it came before the limit. */
  readonly answer: readonly number[]
  /** What it was sampled with. */
  readonly sampling: Sampling
}

interface Writing {
  readonly number: number
  readonly slot: number
  readonly prompt: readonly number[]
  readonly sampling: Sampling
  readonly tokensMax: number
  readonly sampler: Sampler
  readonly answer: number[]
  /** Tokens of prompt and answer that are computed. */
  computed: number
}

/** Yields in the order in which answers end. A prompt that is text alone is what a user says. */
export async function* writeTexts(
  runner: ModelRunner,
  prompts: Iterable<string | WritingRequest>,
  options: WritingOptions,
): AsyncGenerator<Written> {
  const rest = beginnings(runner, prompts, options)
  const running: (Writing | undefined)[] = Array<undefined>(runner.info.slots).fill(undefined)
  for (;;) {
    for (const [slot, writing] of running.entries()) {
      if (writing !== undefined) continue
      const next = rest.next()
      if (next.done === true) break
      running[slot] = { ...next.value, slot }
    }
    const present = running.filter((writing) => writing !== undefined)
    if (present.length === 0) return
    for (const writing of await step(runner, present)) {
      runner.truncate(writing.slot, 0)
      running[writing.slot] = undefined
      const { number, prompt, answer, sampling } = writing
      yield { number, prompt, answer, sampling }
    }
  }
}

function* beginnings(
  runner: ModelRunner,
  prompts: Iterable<string | WritingRequest>,
  options: WritingOptions,
): Generator<Omit<Writing, 'slot'>> {
  const { contextTokensMax } = runner.info
  const render = renderer(runner)
  let number = 0
  for (const given of prompts) {
    const request = typeof given === 'string' ? { messages: [{ role: 'user', content: given }] } : given
    const rendered = render(request.messages)
    if (rendered.kind === 'tokens') yield begin(runner, { ...options, prompt: rendered.tokens, number, request })
    else if (options.onTooLong !== undefined) options.onTooLong(number)
    else {
      const tokens = `${rendered.tokensMin} of ${contextTokensMax} tokens`
      throw new Failure('context-exceeded', `prompt ${number} has ${tokens}, which leaves no room for an answer`)
    }
    number += 1
  }
}

/** A model without a chat template continues what the prompt begins. */
function renderer(runner: ModelRunner): (messages: readonly ChatMessage[]) => Tokenized {
  const template = openTemplate(runner, silentLog)
  const tokensMax = runner.info.contextTokensMax - 1
  return (messages) => {
    if (template === null) {
      const text = messages.map(({ content }) => content).join('\n')
      return tokenizeSegments(runner, [{ text, special: false }], { tokensMax, addBegin: true })
    }
    const segments = renderChat(template, messages)
    return tokenizeSegments(runner, segments, { tokensMax, addBegin: wantsBegin(template, segments) })
  }
}

function begin(
  runner: ModelRunner,
  options: WritingOptions & { readonly prompt: number[]; readonly number: number; readonly request: WritingRequest },
): Omit<Writing, 'slot'> {
  const { prompt, number, temperature, defaults, seed, request } = options
  const sampling = { ...samplingDefaults, ...defaults, temperature, ...request.sampling, seed: (seed + number) >>> 0 }
  const tokensMax = Math.min(options.tokensMax, request.tokensMax ?? options.tokensMax)
  const sampler = createSampler({
    sampling,
    vocabularySize: runner.info.vocabularySize,
    endTokens: runner.endOfGenerationTokens(),
    prompt,
  })
  return { number, prompt, sampling, tokensMax, sampler, answer: [], computed: 0 }
}

/** One token for each; returns those that have ended. */
async function step(runner: ModelRunner, writings: readonly Writing[]): Promise<Writing[]> {
  const decoded = await runner.decode(writings.map(spanOf))
  if (decoded.kind !== 'decoded')
    throw new Failure('engine-fault', `the engine did not compute a step of ${writings.length} sequences`)
  return writings.filter((writing, row) => {
    const position = writing.prompt.length + writing.answer.length
    const { token } = writing.sampler.sample({ logits: runner.logits(row), position })
    writing.sampler.accept(token)
    writing.computed = position
    writing.answer.push(token)
    const hasRoom = position + 1 < runner.info.contextTokensMax
    return runner.isEndOfGeneration(token) || writing.answer.length >= writing.tokensMax || !hasRoom
  })
}

function spanOf({ slot, prompt, answer, computed }: Writing): BatchSpan {
  const last = answer.at(-1)
  assert(last !== undefined || computed === 0, 'an answer that began has a last token')
  return { slot, position: computed, tokens: last === undefined ? prompt : [last], logitsForLast: 1 }
}
