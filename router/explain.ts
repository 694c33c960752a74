/**
 * `POST /v1/route:explain`: what would be done with such a request now, and why, without doing it. Takes the body of any endpoint and
 * looks at nothing but the model and what names a session; sends nothing, counts no decision.
 */
import type { IncomingMessage } from 'node:http'
import { parseJson, readBody } from './body.ts'
import { answering, type EndpointOptions, namedRequest } from './endpoints.ts'
import { type Exchange, headerOf } from './exchange.ts'
import { decisionBody } from './openai/decision.ts'
import { parseBody } from './openai/parse.ts'
import { NamingBody, noSuchModel } from './openai/route.ts'

export function explain({ router, config }: EndpointOptions, request: IncomingMessage, exchange: Exchange): void {
  answering(exchange, () => {
    const { tenant } = router.authenticate(headerOf(request, 'authorization'))
    const answer = (bytes: Buffer) => {
      const named = parseBody(NamingBody, parseJson(bytes))
      const decided = router.explain(namedRequest({ request, exchange }, named, tenant))
      if (decided === undefined) throw noSuchModel(named.model)
      exchange.json(200, decisionBody(named.model, decided))
    }
    readBody(request, config.limits.bodyBytesMax, {
      refuse: (failure) => exchange.fail(failure),
      body: (bytes) => answering(exchange, () => answer(bytes)),
    })
  })
}
