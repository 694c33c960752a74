/**
 * A running router's deployments as the step and the judge of a cascade: they are asked by their own names, as any client asks, so what is
 * calibrated is what is served. A refusal for want of room is tried again when the router says, a few times.
 */
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { TokenLogprob } from '#contracts/messages.ts'
import { ModelDigest } from '#contracts/riskCalibration.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import type { AnswerForm, ModelDigests, StepAnswer, StepModels } from './stepModels.ts'

export interface RoutedOptions {
  readonly url: string
  readonly key: string | undefined
  readonly step: string
  readonly judge: string
  readonly form: AnswerForm
  readonly clock: Clock
  readonly signal: AbortSignal
}

const atOnce = 4
const attemptsMax = 5
const waitMsMax = 30_000

const Chat = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullable() }),
        logprobs: z.object({ content: z.array(z.object({ token: z.string() })).nullable() }).nullish(),
      }),
    )
    .min(1),
})
const Completion = z.object({
  choices: z.array(
    z.object({
      index: z.int().min(0),
      logprobs: z
        .object({
          tokens: z.array(z.string()),
          token_logprobs: z.array(z.number()),
          top_logprobs: z.array(z.record(z.string(), z.number())),
        })
        .nullish(),
    }),
  ),
})
/** Routers before this field say nothing. */
const Listed = z.object({
  data: z.array(z.object({ id: z.string(), paceline: z.object({ model: ModelDigest.optional() }).optional() })),
})

export class RoutedModels implements StepModels {
  readonly judgedAtOnce = atOnce
  readonly #options: RoutedOptions

  constructor(options: RoutedOptions) {
    this.#options = options
  }

  async answer(questions: readonly string[], onDone: (count: number) => void): Promise<StepAnswer[]> {
    const answers: StepAnswer[] = []
    let next = 0
    let done = 0
    const ask = async () => {
      for (let number = next++; number < questions.length; number = next++) {
        answers[number] = await this.#answer(questions[number] ?? '')
        done += 1
        onDone(done)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, ask))
    return answers
  }

  async judge(prompts: readonly string[]): Promise<(TokenLogprob | undefined)[]> {
    const said: (TokenLogprob | undefined)[] = prompts.map(() => undefined)
    const { promptsMax, topLogprobsMax } = limits.request
    for (let from = 0; from < prompts.length; from += promptsMax) {
      const body = {
        model: this.#options.judge,
        prompt: prompts.slice(from, from + promptsMax),
        max_tokens: 1,
        temperature: 0,
        seed: 0,
        logprobs: topLogprobsMax,
      }
      const { choices } = await this.#ask('/v1/completions', body, Completion)
      for (const { index, logprobs } of choices) said[from + index] = firstToken(logprobs)
    }
    return said
  }

  async digests(): Promise<ModelDigests> {
    const { step, judge } = this.#options
    const { data } = await this.#ask('/v1/models', null, Listed)
    // A step whose answers are all given need not be served.
    const of = (name: string) => data.find(({ id }) => id === name)?.paceline?.model ?? null
    return { step: of(step), judge: of(judge) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  async #answer(question: string): Promise<StepAnswer> {
    const { step, form } = this.#options
    const { temperature, judgedTokens, tokensMax, seed } = form
    const body = {
      model: step,
      messages: [{ role: 'user', content: question }],
      max_tokens: tokensMax,
      seed,
      ...(temperature === null ? {} : { temperature }),
      ...(judgedTokens === null ? {} : { logprobs: true }),
    }
    const { choices } = await this.#ask('/v1/chat/completions', body, Chat)
    const [choice] = choices
    const text = choice?.message.content ?? ''
    if (judgedTokens === null) return { text, beginning: null }
    const tokens = choice?.logprobs?.content ?? []
    const beginning = tokens.slice(0, judgedTokens).map(({ token }) => token)
    return { text, beginning: beginning.join('') }
  }

  /** Without a body it is only looked up. */
  async #ask<T>(path: string, body: object | null, schema: z.ZodType<T>): Promise<T> {
    const { url, key, clock, signal } = this.#options
    for (let attempt = 1; ; attempt += 1) {
      const response = await fetch(`${url}${path}`, {
        method: body === null ? 'GET' : 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
        signal,
      }).catch((cause: unknown) => {
        signal.throwIfAborted()
        throw new Failure('invalid-configuration', `${url} does not answer (${String(cause)}); is the router up?`, {
          cause,
        })
      })
      const text = await response.text()
      const isBusy = response.status === 429 || response.status === 503
      if (isBusy && attempt < attemptsMax) {
        const seconds = Number(response.headers.get('retry-after') ?? 1)
        await delay(clock, Math.min(waitMsMax, 1_000 * (Number.isFinite(seconds) ? seconds : 1)), signal)
        continue
      }
      if (!response.ok)
        throw new Failure('invalid-configuration', `${path} says ${response.status}: ${text.slice(0, 500)}`)
      return schema.parse(JSON.parse(text))
    }
  }
}

function firstToken(logprobs: z.infer<typeof Completion>['choices'][number]['logprobs']): TokenLogprob | undefined {
  const [token] = logprobs?.tokens ?? []
  const [logprob] = logprobs?.token_logprobs ?? []
  const [top = {}] = logprobs?.top_logprobs ?? []
  if (token === undefined || logprob === undefined) return undefined
  const entries = Object.entries(top).map(([each, value]) => ({ token: each, bytes: [], logprob: value }))
  return { token, bytes: [], logprob, top: entries }
}
