/**
 * `POST /v1/route:explain`: what would be done with such a request now, and why, without doing it: which deployment, and, where the body
 * holds a prompt, which of its workers. Takes the body of any endpoint; sends nothing, counts no decision.
 */
import type { IncomingMessage } from 'node:http'
import type { TenantId } from '#contracts/ids.ts'
import type { Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { parseJson, readBody } from './body.ts'
import { answering, type EndpointOptions, namedRequest } from './endpoints.ts'
import { type Exchange, headerOf } from './exchange.ts'
import { parseChat } from './openai/chat.ts'
import { parseCompletion } from './openai/completions.ts'
import { decisionBody, expertBody } from './openai/decision.ts'
import { parseBody } from './openai/parse.ts'
import { pickBody } from './openai/pickPlan.ts'
import { NamingBody, noSuchModel } from './openai/route.ts'
import type { ExpertChoice } from './request.ts'
import type { Router } from './router.ts'
import type { Decided } from './routing.ts'

export function explain({ router, config }: EndpointOptions, request: IncomingMessage, exchange: Exchange): void {
  answering(exchange, () => {
    const { tenant } = router.authenticate(headerOf(request, 'authorization'))
    const answer = (bytes: Buffer) => {
      const body = parseJson(bytes)
      const named = parseBody(NamingBody, body)
      const decided = router.explain(namedRequest({ request, exchange }, named, tenant))
      if (decided === undefined) throw noSuchModel(named.model)
      const { record } = decided
      const work = record === null ? undefined : workIn(body, record)
      withExpert(router, { decided, work, tenant }, (choice) => {
        const plan = record === null || work === undefined ? {} : planOf(router, { record, work, tenant, choice })
        exchange.json(200, { ...decisionBody(named.model, decided), ...expertBody(choice), ...plan })
      })
    }
    readBody(request, config.limits.bodyBytesMax, {
      refuse: (failure) => exchange.fail(failure),
      body: (bytes) => answering(exchange, () => answer(bytes)),
    })
  })
}

/** Who would compute it; asks the pair's gate where that chooses. Null: the pair has no experts, or there is no prompt to gate. */
function withExpert(
  router: Router,
  { decided, work, tenant }: { decided: Decided; work: Work | undefined; tenant: TenantId },
  take: (choice: ExpertChoice | null) => void,
): void {
  const { expert: wish, record } = decided
  if (wish?.kind === 'named') take({ expert: wish.expert, cause: 'named', probability: null })
  else if (wish?.kind === 'gate' && record !== null && work !== undefined)
    router.gates.choose({ model: record, tenant, work }, take)
  else take(null)
}

/** Of several prompts the first. */
function planOf(
  router: Router,
  asked: { record: ModelRecord; work: Work; tenant: TenantId; choice: ExpertChoice | null },
) {
  const owner = { tenant: asked.tenant, expert: asked.choice?.expert ?? null }
  return { pick: pickBody(router.planPick(asked.record, asked.work, owner)) }
}

function workIn(body: unknown, record: ModelRecord): Work | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const context = { model: () => record, seed: () => 0 }
  if ('messages' in body) return parseChat(body, context).works[0]
  return 'prompt' in body ? parseCompletion(body, context).works[0] : undefined
}
