/**
 * Lets a model write answers to prompts, as many at a time as its runner has slots, and gives back their tokens.
 *
 * Only for calibration: no requests, no streaming, no deadlines. A slot that has become free takes the next prompt in the same step,
 * so batches have no gaps. What is written depends on prompts, model and seed alone (as far as the runner's results do).
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { silentLog } from '#runtime/log.ts'
import { renderChat } from '../chat/template.ts'
import { createSampler, type Sampler } from '../core/sampling/sampler.ts'
import type { BatchSpan, ModelRunner } from '../modelRunner.ts'
import { openTemplate } from '../prepare.ts'

export interface WritingOptions {
  /** Of one answer. */
  readonly tokensMax: number
  readonly temperature: number
  readonly seed: number
}

export interface Written {
  /** Which prompt it answers, from 0. */
  readonly number: number
  readonly prompt: readonly number[]
  /** End token included, where it came before the limit. */
  readonly answer: readonly number[]
}

interface Writing {
  readonly number: number
  readonly slot: number
  readonly prompt: readonly number[]
  readonly sampler: Sampler
  readonly answer: number[]
  /** Tokens of prompt and answer that are computed. */
  computed: number
}

/** Yields in the order in which answers end. */
export async function* writeTexts(
  runner: ModelRunner,
  prompts: Iterable<string>,
  options: WritingOptions,
): AsyncGenerator<Written> {
  const rest = prompts[Symbol.iterator]()
  const render = renderer(runner)
  const running: (Writing | undefined)[] = Array<undefined>(runner.info.slots).fill(undefined)
  let number = 0
  for (;;) {
    for (const [slot, writing] of running.entries()) {
      if (writing !== undefined) continue
      const next = rest.next()
      if (next.done === true) break
      running[slot] = begin(runner, { slot, prompt: render(next.value), number, ...options })
      number += 1
    }
    const present = running.filter((writing) => writing !== undefined)
    if (present.length === 0) return
    for (const writing of await step(runner, present, options.tokensMax)) {
      runner.truncate(writing.slot, 0)
      running[writing.slot] = undefined
      yield { number: writing.number, prompt: writing.prompt, answer: writing.answer }
    }
  }
}

/** A model without a chat template continues what the prompt begins. */
function renderer(runner: ModelRunner): (prompt: string) => number[] {
  const template = openTemplate(runner, silentLog)
  return (prompt) => {
    if (template === null) return runner.tokenize(prompt, { parseSpecial: false, addBegin: true })
    const segments = renderChat(template, [{ role: 'user', content: prompt }])
    return segments.flatMap(({ text, special }) => runner.tokenize(text, { parseSpecial: special, addBegin: false }))
  }
}

function begin(
  runner: ModelRunner,
  options: WritingOptions & { readonly slot: number; readonly prompt: number[]; readonly number: number },
): Writing {
  const { slot, prompt, number, temperature, seed } = options
  const { contextTokensMax } = runner.info
  if (prompt.length >= contextTokensMax)
    throw new Failure('context-exceeded', `prompt ${number} has ${prompt.length} of ${contextTokensMax} tokens`)
  const sampler = createSampler({
    sampling: { ...samplingDefaults, temperature, seed: (seed + number) >>> 0 },
    vocabularySize: runner.info.vocabularySize,
    endTokens: runner.endOfGenerationTokens(),
    prompt,
  })
  return { number, slot, prompt, sampler, answer: [], computed: 0 }
}

/** One token for each; returns those that have ended. */
async function step(runner: ModelRunner, writings: readonly Writing[], tokensMax: number): Promise<Writing[]> {
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
    return runner.isEndOfGeneration(token) || writing.answer.length >= tokensMax || !hasRoom
  })
}

function spanOf({ slot, prompt, answer, computed }: Writing): BatchSpan {
  const last = answer.at(-1)
  assert(last !== undefined || computed === 0, 'an answer that began has a last token')
  return { slot, position: computed, tokens: last === undefined ? prompt : [last], logitsForLast: 1 }
}
