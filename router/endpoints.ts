/**
 * The endpoints of a model: body in, parsed, submitted, and a sink that answers. Everything that is wrong with a request ends here as
 * a Failure, so that every refusal has one shape.
 */
import type { IncomingMessage } from 'node:http'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { TenantId } from '#contracts/ids.ts'
import type { KeyRecord, ModelRecord } from '#contracts/records.ts'
import type { RouterConfig } from '#contracts/routerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import { parseJson, readBody } from './body.ts'
import { sessionKeyOf } from './core/sessionKey.ts'
import { type Exchange, headerOf } from './exchange.ts'
import { InnerRequests } from './innerRequests.ts'
import { parseChat } from './openai/chat.ts'
import { parseCompletion } from './openai/completions.ts'
import { embeddingBody, parseEmbedding } from './openai/embeddings.ts'
import { type AnswerIdentity, chatFormat, type Format, textFormat } from './openai/format.ts'
import { parseBody } from './openai/parse.ts'
import { NamingBody, type NamingFields, type ParseContext, type ParsedRequest } from './openai/route.ts'
import { StreamSink } from './openai/stream.ts'
import { WholeSink } from './openai/whole.ts'
import type { ExpertChoice, ResponseSink, RoutedRequest } from './request.ts'
import type { Router } from './router.ts'
import { type NamedRequest, noDeployment } from './routing.ts'
import type { StagedRecord, Understood } from './staged.ts'

export interface EndpointOptions {
  readonly router: Router
  readonly config: RouterConfig
  readonly clock: Clock
  /** Seconds since the epoch, for `created`: shown to clients, compared with nothing. */
  readonly secondsNow: () => number
}

/** What differs between the endpoints. */
export interface Endpoint {
  readonly name: string
  readonly idPrefix: string
  /** Whether it answers with text, which can be judged. */
  readonly writes: boolean
  understand(body: unknown, at: Arrival): Understood
}

interface Given {
  readonly request: IncomingMessage
  readonly bytes: Buffer
  readonly exchange: Exchange
  readonly principal: KeyRecord
  readonly deadlineMs: number
  readonly readAt: number
}

interface Arrival {
  readonly context: ParseContext
  readonly exchange: Exchange
  readonly identity: (parsed: ParsedRequest) => AnswerIdentity
}

export const chatEndpoint: Endpoint = {
  name: 'chat.completions',
  idPrefix: 'chatcmpl',
  writes: true,
  understand: (body, at) => generate(parseChat(body, at.context), at, chatFormat),
}

export const completionEndpoint: Endpoint = {
  name: 'completions',
  idPrefix: 'cmpl',
  writes: true,
  understand: (body, at) => generate(parseCompletion(body, at.context), at, textFormat),
}

export const embeddingEndpoint: Endpoint = {
  name: 'embeddings',
  idPrefix: 'embd',
  writes: false,
  understand(body, at) {
    const parsed = parseEmbedding(body, at.context)
    const open = () =>
      new WholeSink(at.exchange, (_choices, outcome) => embeddingBody(outcome.embeddings, outcome.usage, parsed))
    return { parsed, open }
  },
}

function generate(
  parsed: ParsedRequest,
  at: Arrival,
  formatFor: (identity: AnswerIdentity, options: { usageNull: boolean }) => Format,
): Understood {
  return { parsed, open }

  function open(): ResponseSink {
    const { includeUsage } = parsed
    const format = formatFor(at.identity(parsed), { usageNull: includeUsage })
    if (!parsed.streaming) return new WholeSink(at.exchange, (choices, outcome) => format.whole(choices, outcome.usage))
    const sink = new StreamSink({ format, includeUsage, output: at.exchange })
    at.exchange.onDrain = () => sink.drained()
    return sink
  }
}

/** Takes one request from its head to its submission; the sink answers from there on. */
export function serve(
  options: EndpointOptions,
  endpoint: Endpoint,
  request: IncomingMessage,
  exchange: Exchange,
): void {
  answering(exchange, () => {
    const principal = options.router.authenticate(headerOf(request, 'authorization'))
    const deadlineMs = deadlineOf(request, options.config)
    readBody(request, options.config.limits.bodyBytesMax, {
      refuse: (failure) => exchange.fail(failure),
      body: (bytes) =>
        answering(exchange, () =>
          submit(options, endpoint, { request, bytes, exchange, principal, deadlineMs, readAt: options.clock.now() }),
        ),
    })
  })
}

function submit(options: EndpointOptions, endpoint: Endpoint, given: Given): void {
  const { router } = options
  const { exchange } = given
  const body = parseJson(given.bytes)
  const route = router.stagedRoute(modelNameIn(body))
  if (route !== undefined) {
    submitStaged(options, endpoint, { ...given, body, route })
    return
  }
  const context: ParseContext = {
    model: (named) => chosenModel(router, given, named),
    seed: () => router.newSeed(),
  }
  const { parsed, open } = endpoint.understand(body, { context, exchange, identity: identityOf(options, endpoint) })
  const handle = router.submit(routed(parsed, given), open())
  if (!exchange.answered) exchange.running = handle
}

/** To a route that takes several steps: who answers is not known before somebody has. */
function submitStaged(
  options: EndpointOptions,
  endpoint: Endpoint,
  given: Given & { readonly body: unknown; readonly route: StagedRecord },
): void {
  const { router, clock } = options
  const { exchange, principal, deadlineMs, body, route } = given
  if (!endpoint.writes) throw unjudged(route)
  const named = namedRequest(given, parseBody(NamingBody, body), principal.tenant)
  const { id, arrivedAt } = exchange
  const client = { ...principal, id, deadlineMs, arrivedAt, trace: exchange.trace }
  const inner = new InnerRequests({ router, clock, client })
  const seed = router.newSeed()
  const identity = identityOf(options, endpoint)
  const planned = router.explain(named)
  if (planned !== undefined) exchange.plan(planned)
  const handle = router.serveStaged(route, {
    named,
    inner,
    arrivedAt,
    understand: (model) => {
      exchange.queueRequestsMax = model.queue.requestsMax
      return endpoint.understand(body, { context: { model: () => model, seed: () => seed }, exchange, identity })
    },
    answer: (decided, understood) => {
      exchange.decide(decided)
      return understood.open()
    },
    fail: (decided, failure) => {
      exchange.decide(decided)
      exchange.fail(failure)
    },
    threw: (error) => exchange.threw(error),
    threwAside: (error) => exchange.threwAside(error),
  })
  if (!exchange.answered) exchange.running = handle
}

function identityOf({ router, secondsNow }: EndpointOptions, { idPrefix }: Endpoint) {
  return (parsed: ParsedRequest): AnswerIdentity => ({
    id: `${idPrefix}-${router.newId()}`,
    created: secondsNow(),
    model: parsed.modelName,
    fingerprint: `fp_${parsed.model.revision}`,
  })
}

/** Looked at before anything is known to be of its form: what it is not is said when the body is parsed. */
function modelNameIn(body: unknown): string {
  return typeof body === 'object' && body !== null && 'model' in body && typeof body.model === 'string'
    ? body.model
    : ''
}

function unjudged({ name, policy }: StagedRecord): Failure {
  const message = `'${name}' is a route that judges answers (${policy.kind}), and vectors of different models do not compare: name a deployment`
  return new Failure('unsupported', message, { param: 'model' })
}

/** What the name stands for, or what a route makes of it for this request. */
function chosenModel(router: Router, given: Given, named: NamingFields): ModelRecord | undefined {
  const { exchange, principal } = given
  const decided = router.decide(namedRequest(given, named, principal.tenant))
  if (decided === undefined) return undefined
  exchange.decide(decided)
  if (decided.record === null) throw noDeployment(named.model)
  return decided.record
}

export function namedRequest(
  { request, exchange }: { readonly request: IncomingMessage; readonly exchange: Exchange },
  named: NamingFields,
  tenant: TenantId,
): NamedRequest {
  const header = (name: string) => headerOf(request, name)
  return {
    id: exchange.id,
    model: named.model,
    tenant,
    key: sessionKeyOf({ header, body: named, requestId: exchange.id }),
  }
}

function routed(parsed: ParsedRequest, given: Given): RoutedRequest {
  const { exchange, principal, deadlineMs, readAt } = given
  exchange.queueRequestsMax = parsed.model.queue.requestsMax
  const expert = exchange.decided?.expert
  if (expert?.kind === 'named' && parsed.works.some(({ kind }) => kind === 'embedding'))
    throw noEmbedding(expert.expert)
  return {
    id: exchange.id,
    tenant: principal.tenant,
    weight: principal.weight,
    priority: principal.priority,
    model: parsed.model,
    ...(expert === undefined ? {} : { expert, onExpert: (choice: ExpertChoice) => exchange.chose(choice) }),
    works: parsed.works,
    choices: parsed.choices,
    sampling: parsed.sampling,
    streaming: parsed.streaming,
    bytes: given.bytes.length,
    deadlineMs,
    arrivedAt: exchange.arrivedAt,
    readAt,
    trace: exchange.trace,
  }
}

function noEmbedding(expert: string): Failure {
  const message = `embeddings are computed without experts: leave out ':${expert}'`
  return new Failure('unsupported', message, { param: 'model' })
}

/** `x-paceline-deadline-ms` shortens (or, within bounds, lengthens) the time to the first token. */
function deadlineOf(request: IncomingMessage, config: RouterConfig): number {
  const given = headerOf(request, 'x-paceline-deadline-ms')
  if (given === undefined) return config.limits.deadlineMs
  const ms = Number(given)
  const { deadlineMsMax } = limits.request
  if (Number.isInteger(ms) && ms >= 1 && ms <= deadlineMsMax) return ms
  const message = `the header x-paceline-deadline-ms is '${given.slice(0, 32)}': it must be a whole number from 1 to ${deadlineMsMax}`
  throw new Failure('invalid-request', message, { param: 'x-paceline-deadline-ms' })
}

/** Runs a step; what it throws as a Failure is the answer. Anything else is a bug and goes up. */
export function answering(exchange: Exchange, step: () => void): void {
  try {
    step()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    exchange.fail(error)
  }
}
