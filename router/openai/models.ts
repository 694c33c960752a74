/**
 * `GET /v1/models` and `/v1/models/{id}`: OpenAI's form, plus one field of our own that says what OpenAI has no word for.
 */
import type { ModelView } from '../router.ts'

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
      reproducible: record.reproducible,
      context_tokens_max: record.contextTokensMax,
      capabilities: record.capabilities,
      ...(record.speculation === undefined ? {} : { speculation: speculationBody(record.speculation) }),
    },
  }
}

function speculationBody({ method, draftTokensMax, controller }: NonNullable<ModelView['record']['speculation']>) {
  return { method, draft_tokens_max: draftTokensMax, controller }
}

/** Every name that a client may use, each once. */
export function modelList(views: readonly ModelView[]) {
  const data = views.flatMap((view) =>
    [...new Set([view.record.deployment, ...view.record.servedNames])].map((name) => modelBody(view, name)),
  )
  return { object: 'list', data }
}
