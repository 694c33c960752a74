/**
 * Which path goes where.
 *
 * Express routes; its own conveniences that touch bodies, headers or error pages are off: every answer has our one error shape and
 * nothing is read without a bound. Health, metrics and version need no key; everything under /v1 does. The few exact paths that
 * carry the load are looked up before Express, which would take a twentieth of a request's time to find them.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { Failure } from '#contracts/failure.ts'
import { version } from '#runtime/version.ts'
import {
  chatEndpoint,
  completionEndpoint,
  type Endpoint,
  embeddingEndpoint,
  type EndpointOptions,
  serve,
} from './endpoints.ts'
import { explain } from './explain.ts'
import { feedback } from './feedback.ts'
import { Exchange, type ExchangeContext, headerOf } from './exchange.ts'
import { modelBody, modelList, routeBody } from './openai/models.ts'
import type { Router } from './router.ts'

const endpoints: ReadonlyMap<string, Endpoint> = new Map([
  ['/v1/chat/completions', chatEndpoint],
  ['/v1/completions', completionEndpoint],
  ['/v1/embeddings', embeddingEndpoint],
])
/** Express would take what follows the colon for the name of a parameter. */
const explainPath = '/v1/route\\:explain'
const feedbackPath = '/v1/feedback'
const pages = ['/v1/models', '/v1/models/*id', '/health', '/healthz', '/livez', '/readyz', '/version', '/metrics']

type Open = (endpoint: string, request: IncomingMessage, response: ServerResponse) => Exchange

export function createHandler(options: EndpointOptions, context: ExchangeContext): RequestListener {
  const open: Open = (endpoint, request, response) => new Exchange(context, request, response, endpoint)
  const app = createApp(options, context, open)
  return (request, response) => {
    const endpoint = request.method === 'POST' && hasHost(request) ? endpoints.get(request.url ?? '') : undefined
    if (endpoint === undefined) return void app(request, response)
    const exchange = open(endpoint.name, request, response)
    try {
      serve(options, endpoint, request, exchange)
    } catch (error) {
      threw(error, { exchange, response }, context)
    }
  }
}

const hasHost = (request: IncomingMessage) => request.httpVersionMinor === 0 || request.headers.host !== undefined

function createApp(options: EndpointOptions, context: ExchangeContext, open: Open): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', false)
  app.use((request, response, next) => {
    if (hasHost(request)) next()
    else open('other', request, response).fail(new Failure('invalid-request', 'the Host header is missing; send it'))
  })
  // Here they come with a query, a final slash or other letters' case.
  for (const [path, endpoint] of endpoints)
    app.post(path, (request, response) => serve(options, endpoint, request, open(endpoint.name, request, response)))
  app.post(explainPath, (request, response) => explain(options, request, open('route:explain', request, response)))
  app.post(feedbackPath, (request, response) => feedback(options, request, open('feedback', request, response)))
  addModelPages(app, options.router, open)
  addProcessPages(app, context, open)
  app.all([...endpoints.keys(), explainPath, feedbackPath], (request, response) =>
    wrongMethod(open('other', request, response), 'POST'),
  )
  app.all(pages, (request, response) => wrongMethod(open('other', request, response), 'GET'))
  app.use((request, response) => noSuchPage(open('other', request, response), request))
  app.use(errorHandler(context, open))
  return app
}

function addModelPages(app: Express, router: Router, open: Open): void {
  app.get('/v1/models', (request, response) => {
    const exchange = open('models', request, response)
    guarded(exchange, request, router, () => modelList(router.models(), router.routes()))
  })
  // A model's name may hold slashes; so everything behind the prefix is the name.
  app.get('/v1/models/*id', (request, response) => {
    const exchange = open('models', request, response)
    const name = request.params.id.join('/')
    guarded(exchange, request, router, () => {
      const view = router.model(name)
      if (view !== undefined) return modelBody(view, name)
      const route = router.route(name)
      if (route !== undefined) return routeBody(route)
      const expert = modelList(router.models(), []).data.find(({ id }) => id === name)
      if (expert !== undefined) return expert
      throw new Failure('model-not-found', `the model '${name.slice(0, 128)}' does not exist here`, { param: 'model' })
    })
  })
}

function guarded(exchange: Exchange, request: IncomingMessage, router: Router, page: () => unknown): void {
  try {
    router.authenticate(headerOf(request, 'authorization'))
    exchange.json(200, page())
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    exchange.fail(error)
  }
}

function addProcessPages(app: Express, { router, metrics }: ExchangeContext, open: Open): void {
  const health = (paths: string[], isOk: () => boolean) =>
    app.get(paths, (request, response) => {
      const ok = isOk()
      open('health', request, response).json(ok ? 200 : 503, { status: ok ? 'ok' : 'unavailable' })
    })
  health(['/livez', '/healthz'], () => true)
  health(['/readyz', '/health'], () => router.ready)
  app.get('/version', (request, response) => open('version', request, response).json(200, { version }))
  app.get('/metrics', async (_request, response) => {
    router.observe()
    const text = await metrics.text()
    response.setHeader('content-type', metrics.contentType)
    response.end(text)
  })
}

function wrongMethod(exchange: Exchange, allowed: string): void {
  const message = `this path only takes ${allowed}`
  exchange.refuse(405, { message, code: 'method_not_allowed' }, { allow: allowed === 'GET' ? 'GET, HEAD' : allowed })
}

function noSuchPage(exchange: Exchange, request: IncomingMessage): void {
  const message = `there is no ${request.method ?? ''} ${(request.url ?? '').slice(0, 128)} here; the API is under /v1`
  exchange.refuse(404, { message, code: 'not_found' })
}

/** What Express itself refuses (a path that cannot be decoded), and bugs. */
function errorHandler(context: ExchangeContext, open: Open): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const exchange = open('other', request, response)
    if (error instanceof URIError)
      exchange.fail(new Failure('invalid-request', 'the path cannot be decoded; check its percent signs'))
    else threw(error, { exchange, response }, context)
  }
}

function threw(
  error: unknown,
  { exchange, response }: { exchange: Exchange; response: ServerResponse },
  { log }: ExchangeContext,
): void {
  log.error({ request: exchange.id, error }, 'bug: a request handler threw')
  if (response.headersSent) response.destroy()
  else exchange.refuse(500, { message: 'internal error; the log of the router says more', code: 'internal_error' })
}
