/**
 * From a dispatch to work the engine can run: template, tokens, limits of the context, grammar. Nothing here waits.
 *
 * Everything a request can be refused for because of what it says is found here, before it is accepted; each `Failure` says what
 * to change and names the field. Changes no state; the request returned owns the grammars opened for it.
 */
import { chatDigests, prefixDigests } from '#algorithms/prefixDigest.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Dispatch, Work } from '#contracts/messages.ts'
import type { WorkerRecord } from '#contracts/records.ts'
import type { Log } from '#runtime/log.ts'
import { type ChatTemplate, compileChatTemplate, renderChat, type Segment, wantsBegin } from './chat/template.ts'
import { responseGrammar } from './core/grammar/responseGrammar.ts'
import type { EmbedRequest } from './embeddingQueue.ts'
import type { GenerateRequest } from './job.ts'
import type { GrammarMatcher, ModelRunner } from './modelRunner.ts'
import { tokenizeSegments } from './tokenize.ts'

export type Prepared =
  | { readonly kind: 'generate'; readonly request: GenerateRequest }
  | { readonly kind: 'embed'; readonly request: EmbedRequest }

export type Prepare = (dispatch: Dispatch) => Prepared

export interface PrepareOptions {
  readonly runner: ModelRunner
  /** null: this model cannot chat. */
  readonly template: ChatTemplate | null
  readonly capabilities: WorkerRecord['capabilities']
  readonly experts: readonly { readonly name: string }[]
}

type TextWork = Exclude<Work, { kind: 'embedding' }>

export function createPrepare(options: PrepareOptions): Prepare {
  return (dispatch) => {
    const { work } = dispatch
    if (work.kind === 'embedding') return { kind: 'embed', request: prepareEmbedding(options, dispatch, work.inputs) }
    const prompt = promptOf(options, work)
    return { kind: 'generate', request: generateRequest(options, { ...dispatch, work }, prompt) }
  }
}

/** The model's chat template; null where it has none, or none that can be used (then only completions work). */
export function openTemplate(runner: ModelRunner, log: Log): ChatTemplate | null {
  const { info } = runner
  if (info.chatTemplate === null) return null
  try {
    return compileTemplate(runner)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    log.warn({ error }, 'chat template cannot be used: this deployment serves completions only')
    return null
  }
}

function compileTemplate(runner: ModelRunner): ChatTemplate {
  const { info } = runner
  return compileChatTemplate({
    source: info.chatTemplate,
    beginText: info.beginToken === null ? '' : runner.specialText(info.beginToken),
    endText: info.endToken === null ? '' : runner.specialText(info.endToken),
  })
}

function generateRequest(
  options: PrepareOptions,
  dispatch: Omit<Dispatch, 'work'> & { readonly work: TextWork },
  prompt: readonly number[],
): GenerateRequest {
  const { work, sampling, choices } = dispatch
  checkTokenIds(
    options.runner,
    'logit_bias',
    sampling.logitBias.map(([token]) => token),
  )
  const tokensMax = tokensMaxOf(options.runner, dispatch, prompt.length)
  return {
    id: dispatch.id,
    router: dispatch.router,
    tenant: dispatch.tenant,
    expert: expertOf(options, dispatch),
    waitedMs: dispatch.waitedMs ?? 0,
    priority: dispatch.priority,
    deadlineMs: dispatch.deadlineMs,
    deltaIntervalMs: dispatch.deltaIntervalMs,
    prompt,
    ...hintOf(options.runner, dispatch),
    echoText: echoOf(options.runner, work),
    choices,
    sampling,
    tokensMax,
    matchers: openGrammars(options, dispatch),
    digests: (answer) => digestsOf(dispatch, answer),
  }
}

/** Another model's words in this one's tokens; beyond what the context holds nothing of it can be said. */
function hintOf(runner: ModelRunner, { hint }: Pick<Dispatch, 'hint'>): Pick<GenerateRequest, 'hint'> {
  if (hint === undefined || hint === '') return {}
  const tokensMax = runner.info.contextTokensMax
  const result = tokenizeSegments(runner, [{ text: hint, special: false }], { tokensMax, addBegin: false })
  return result.kind === 'too-long' ? {} : { hint: result.tokens }
}

function expertOf({ experts }: PrepareOptions, { expert }: Pick<Dispatch, 'expert'>): string | null {
  if (expert === undefined || experts.some(({ name }) => name === expert)) return expert ?? null
  const known = experts.length === 0 ? 'it has none' : `it has ${experts.map(({ name }) => name).join(', ')}`
  // Workers of another revision may have it.
  throw new Failure('model-not-found', `this deployment has no expert "${expert}": ${known}`, {
    param: 'model',
    retry: { kind: 'elsewhere' },
  })
}

// ---------------------------------------------------------------- prompt

function promptOf({ runner, template }: PrepareOptions, work: TextWork): number[] {
  switch (work.kind) {
    case 'chat': {
      if (template === null)
        throw new Failure('unsupported', 'this model has no chat template: use /v1/completions', { param: 'model' })
      const segments = renderChat(template, work.messages)
      return tokensOf(runner, segments, { param: 'messages', addBegin: wantsBegin(template, segments) })
    }
    case 'completion':
      return inputTokens(runner, work.prompt, 'prompt')
    default:
      return work satisfies never
  }
}

function inputTokens(runner: ModelRunner, input: string | readonly number[], param: string): number[] {
  if (typeof input === 'string') return tokensOf(runner, [{ text: input, special: false }], { param, addBegin: true })
  checkTokenIds(runner, param, input)
  if (input.length >= runner.info.contextTokensMax) throw tooLong(runner, { param, tokens: `${input.length}` })
  if (input.length === 0) throw emptyPrompt(param)
  return [...input]
}

function tokensOf(
  runner: ModelRunner,
  segments: readonly Segment[],
  options: { readonly param: string; readonly addBegin: boolean },
): number[] {
  const tokensMax = runner.info.contextTokensMax - 1
  const result = tokenizeSegments(runner, segments, { tokensMax, addBegin: options.addBegin })
  if (result.kind === 'too-long') throw tooLong(runner, { ...options, tokens: `at least ${result.tokensMin}` })
  if (result.tokens.length === 0) throw emptyPrompt(options.param)
  return result.tokens
}

function checkTokenIds(runner: ModelRunner, param: string, tokens: readonly number[]): void {
  const { vocabularySize } = runner.info
  const bad = tokens.find((token) => token >= vocabularySize)
  if (bad === undefined) return
  const message = `${param} holds token ${bad}, but this model's vocabulary ends at ${vocabularySize - 1}`
  throw new Failure('invalid-request', message, { param })
}

function emptyPrompt(param: string): Failure {
  return new Failure(
    'invalid-request',
    `${param} must not be empty: this model needs at least one token to start from`,
    {
      param,
    },
  )
}

function tooLong(runner: ModelRunner, prompt: { readonly param: string; readonly tokens: string }): Failure {
  const { contextTokensMax } = runner.info
  return new Failure(
    'context-exceeded',
    `This model's maximum context length is ${contextTokensMax} tokens. However, your ${prompt.param} resulted in ` +
      `${prompt.tokens} tokens. Please reduce the length of the ${prompt.param}.`,
    { param: prompt.param },
  )
}

/** What the client asked for must fit behind the prompt; without a wish it gets what is left. */
function tokensMaxOf(
  runner: ModelRunner,
  { work, sampling }: { readonly work: TextWork; readonly sampling: Dispatch['sampling'] },
  promptTokens: number,
): number {
  const { contextTokensMax } = runner.info
  const room = contextTokensMax - promptTokens
  const wanted = sampling.maxTokens
  if (wanted === null) return Math.min(room, limits.request.tokensDefault)
  if (wanted <= room) return wanted
  const param = work.kind === 'chat' ? 'messages' : 'prompt'
  throw new Failure(
    'context-exceeded',
    `This model's maximum context length is ${contextTokensMax} tokens. However, you requested ${promptTokens + wanted} ` +
      `tokens (${promptTokens} in the ${param}, ${wanted} in the completion). Please reduce the length of the ${param} or completion.`,
    { param },
  )
}

function echoOf(runner: ModelRunner, work: TextWork): string {
  if (work.kind === 'chat' || !work.echo) return ''
  if (typeof work.prompt === 'string') return work.prompt
  return Buffer.concat(work.prompt.map((token) => runner.pieceOf(token))).toString('utf8')
}

// ---------------------------------------------------------------- grammar

function openGrammars(options: PrepareOptions, { sampling, choices }: Omit<Dispatch, 'work'>): GrammarMatcher[] {
  const grammar = responseGrammar(sampling.responseFormat)
  if (grammar === null) return []
  if (!options.capabilities.grammar)
    throw new Failure('unsupported', 'this deployment cannot constrain its answers: leave out response_format', {
      param: 'response_format',
    })
  if (sampling.ignoreEos)
    throw new Failure('invalid-request', 'ignore_eos cannot be combined with response_format: a JSON text has an end', {
      param: 'ignore_eos',
    })
  const matchers: GrammarMatcher[] = []
  try {
    while (matchers.length < choices) matchers.push(options.runner.openGrammar(grammar))
    return matchers
  } catch (error) {
    for (const matcher of matchers) matcher[Symbol.dispose]()
    throw error
  }
}

// ---------------------------------------------------------------- digests

function digestsOf(dispatch: Omit<Dispatch, 'work'> & { readonly work: TextWork }, answer: string | null): string[] {
  const { tenant, work, expert = null } = dispatch
  const owner = { tenant, expert }
  if (answer === null) return prefixDigests(owner, work)
  if (work.kind === 'chat') return chatDigests(owner, [...work.messages, { role: 'assistant', content: answer }])
  const prompt = typeof work.prompt === 'string' ? work.prompt + answer : work.prompt
  return prefixDigests(owner, { ...work, prompt })
}

// ---------------------------------------------------------------- embeddings

function prepareEmbedding(
  { runner, capabilities }: PrepareOptions,
  dispatch: Dispatch,
  inputs: readonly (string | readonly number[])[],
): EmbedRequest {
  if (!capabilities.embeddings)
    throw new Failure(
      'unsupported',
      'this deployment gives no embeddings: set engine.embeddings in its ModelDeployment',
      {
        param: 'model',
      },
    )
  const tokens = inputs.map((input) => inputTokens(runner, input, 'input'))
  return { id: dispatch.id, inputs: tokens, deadlineMs: dispatch.deadlineMs }
}
