/** A client's request to a route of several steps, without HTTP: what becomes of it is to be seen. */
import type { RouteRecord } from '#contracts/records.ts'
import { encode } from '#runtime/messages.ts'
import { InnerRequests } from '../innerRequests.ts'
import type { Router } from '../router.ts'
import type { StagedRequest } from '../staged.ts'
import { type FakeStage, RecordingSink, request } from './stage.ts'

export interface AskedRoute {
  readonly sink: RecordingSink
  /** Whose answer it is; null: nobody's. */
  readonly chosen: (string | null)[]
  readonly threw: unknown[]
  readonly threwAside: unknown[]
}

/** Publishes the route and asks it. `submitInner`: absent, the router's own. */
export async function askRoute(
  stage: FakeStage,
  record: RouteRecord,
  { submitInner, ...changes }: Parameters<typeof request>[1] & Partial<Pick<Router, 'submitInner'>> = {},
): Promise<AskedRoute> {
  await Promise.all([stage.operator.put('routes', record.route, encode(record)), stage.clock.advance(100)])
  const route = stage.router.stagedRoute(record.name)
  if (route === undefined) throw new Error(`no route ${record.name}`)
  const client = request(stage, changes)
  const submit: Router['submitInner'] = submitInner ?? ((...given) => stage.router.submitInner(...given))
  const sink = new RecordingSink()
  const asked: AskedRoute = { sink, chosen: [], threw: [], threwAside: [] }
  const staged: StagedRequest = {
    named: { id: client.id, model: record.name, tenant: client.tenant, key: { source: 'request', value: client.id } },
    inner: new InnerRequests({ router: { submitInner: submit }, clock: stage.clock, client }),
    arrivedAt: client.arrivedAt,
    understand: (model) => ({
      parsed: { ...client, model, modelName: record.name, includeUsage: false },
      open: () => sink,
    }),
    answer: ({ decision }) => {
      asked.chosen.push(decision.deployment)
      return sink
    },
    fail: ({ decision }, failure) => {
      asked.chosen.push(decision.deployment)
      sink.end({ kind: 'failed', failure })
    },
    threw: (error) => asked.threw.push(error),
    threwAside: (error) => asked.threwAside.push(error),
  }
  stage.router.serveStaged(route, staged)
  return asked
}
