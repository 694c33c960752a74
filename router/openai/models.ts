/**
 * `GET /v1/models` and `/v1/models/{id}`: OpenAI's form, plus one field of our own that says what OpenAI has no word for.
 */
import { targetsOf } from '../core/route.ts'
import type { ModelView, RouteView } from '../router.ts'

export function modelBody(view: ModelView, name: string) {
  const { record } = view
  return {
    id: name,
    object: 'model',
    created: record.created,
    owned_by: 'paceline',
    paceline: {
      deployment: record.deployment,
      revision: record.revision,
      ready: view.ready,
      simulated: record.simulated,
      // What a calibration is bound to.
      ...(record.model === undefined ? {} : { model: record.model }),
      reproducible: record.reproducible,
      context_tokens_max: record.contextTokensMax,
      capabilities: record.capabilities,
      ...(record.gate === undefined ? {} : { gated: true }),
      ...(record.speculation === undefined ? {} : { speculation: speculationBody(record.speculation) }),
    },
  }
}

function speculationBody({ method, draftTokensMax, controller }: NonNullable<ModelView['record']['speculation']>) {
  return { method, draft_tokens_max: draftTokensMax, controller }
}

/** A route can what each of its deployments can: a request that one of them would refuse is refused for its share. */
export function routeBody({ record, models }: RouteView) {
  const can = (what: keyof ModelView['record']['capabilities']) =>
    models.length > 0 && models.every((view) => view.record.capabilities[what])
  return {
    id: record.name,
    object: 'model',
    created: record.created,
    owned_by: 'paceline',
    paceline: {
      route: record.route,
      strategy: record.policy.kind,
      deployments: targetsOf(record),
      ready: models.some((view) => view.ready),
      simulated: models.some((view) => view.record.simulated),
      ...(models.length === 0
        ? {}
        : { context_tokens_max: Math.min(...models.map((view) => view.record.contextTokensMax)) }),
      capabilities: {
        chat: can('chat'),
        completions: can('completions'),
        // Vectors of different models do not compare, so whoever asks several models gives none.
        embeddings: asksOne(record) && can('embeddings'),
        grammar: can('grammar'),
      },
    },
  }
}

const asksOne = ({ policy }: RouteView['record']) => policy.kind === 'direct' || policy.kind === 'weighted'

/** As vLLM lists adapters: a model of its own, whose `parent` is the base. */
function expertBodies(view: ModelView) {
  const { deployment } = view.record
  const base = modelBody(view, deployment)
  return view.record.experts.map(({ name, refusal }) => ({
    ...base,
    id: `${deployment}:${name}`,
    parent: deployment,
    paceline: {
      ...base.paceline,
      expert: name,
      ready: view.ready && refusal === undefined,
      capabilities: { ...base.paceline.capabilities, embeddings: false },
      ...(refusal === undefined ? {} : { refusal }),
    },
  }))
}

/** Every name that a client may use, each once; experts under their deployment's own name alone. */
export function modelList(views: readonly ModelView[], routes: readonly RouteView[]) {
  const models = views.flatMap((view) => [
    ...[...new Set([view.record.deployment, ...view.record.servedNames])].map((name) => modelBody(view, name)),
    ...expertBodies(view),
  ])
  return { object: 'list', data: [...models, ...routes.map(routeBody)] }
}
