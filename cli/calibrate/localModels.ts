/** Model files opened in this process as the step and the judge of a cascade: for calibrating without a running instance. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { TokenLogprob } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { NextTokens } from '../../gpu-worker/calibration/nextTokens.ts'
import { writeTexts } from '../../gpu-worker/calibration/writeTexts.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import type { Context } from '../context.ts'
import { openRunner } from './calibrationFlags.ts'
import type { AnswerForm, ModelDigests, StepAnswer, StepModels } from './stepModels.ts'

export interface LocalOptions {
  readonly stepPath: string
  readonly judgePath: string
  readonly contextTokensMax: number
  /** Two for each reference: each slot then keeps the beginning of its prompts. */
  readonly judgeSlots: number
  readonly threads: number
  readonly form: AnswerForm
}

const answerSlots = 8

export class LocalModels implements StepModels {
  /** Prompts of one answer fill the judge's slots. */
  readonly judgedAtOnce = 1
  readonly #options: LocalOptions
  readonly #context: Context
  #digests: Promise<ModelDigests> | null = null
  #judge: { readonly runner: ModelRunner; readonly next: NextTokens } | null = null

  constructor(options: LocalOptions, context: Context) {
    this.#options = options
    this.#context = context
  }

  async answer(questions: readonly string[], onDone: (count: number) => void): Promise<StepAnswer[]> {
    const { stepPath, contextTokensMax, threads, form } = this.#options
    await using runner = await openRunner(stepPath, this.#context, { slots: answerSlots, contextTokensMax, threads })
    const { temperature, tokensMax, seed, judgedTokens } = form
    const answers: StepAnswer[] = questions.map(() => ({ text: '', beginning: judgedTokens === null ? null : '' }))
    let done = 0
    // As a router serves them: what a request gets that says nothing of it, and the text with its spaces.
    const served = temperature ?? samplingDefaults.temperature
    const options = { tokensMax, temperature: served, seed, onTooLong: () => undefined }
    for await (const { number, answer } of writeTexts(runner, questions, options)) {
      this.#context.interrupts.first.throwIfAborted()
      const said = answer.filter((token) => !runner.isEndOfGeneration(token))
      const beginning = judgedTokens === null ? null : textOf(runner, said.slice(0, judgedTokens))
      answers[number] = { text: textOf(runner, said), beginning }
      done += 1
      onDone(done)
    }
    return answers
  }

  async judge(prompts: readonly string[]): Promise<(TokenLogprob | undefined)[]> {
    this.#context.interrupts.first.throwIfAborted()
    this.#judge ??= await this.#open()
    return this.#judge.next.of(prompts)
  }

  digests(): Promise<ModelDigests> {
    this.#digests ??= digestsOf(this.#options)
    return this.#digests
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge?.runner[Symbol.asyncDispose]()
  }

  async #open() {
    const { judgePath, contextTokensMax, judgeSlots, threads } = this.#options
    const runner = await openRunner(judgePath, this.#context, { slots: judgeSlots, contextTokensMax, threads })
    return { runner, next: new NextTokens(runner, limits.request.topLogprobsMax) }
  }
}

async function digestsOf({ stepPath, judgePath }: LocalOptions): Promise<ModelDigests> {
  const step = await hashed(stepPath)
  return { step, judge: judgePath === stepPath ? step : await hashed(judgePath) }
}

async function hashed(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash).catch((cause: unknown) => {
    throw new Failure('invalid-configuration', `the model ${path} cannot be read: ${String(cause)}`, { cause })
  })
  return hash.digest('hex')
}

function textOf(runner: ModelRunner, tokens: readonly number[]): string {
  return new TextDecoder().decode(Buffer.concat(tokens.map((token) => runner.pieceOf(token))))
}
