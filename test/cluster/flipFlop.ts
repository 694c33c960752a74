/**
 * Names whose spec flips between good and bad, written to a real API server, each answer compared with what the schemas say.
 */
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { resourceKinds, rootSchema } from '../../cli/generate/crds.ts'
import type { StructuralSchema } from '../../cli/generate/structuralSchema.ts'
import type { Transport } from '../../operator/kubernetes/transport.ts'
import { apiVersion } from '#contracts/resources/metadata.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { mendedPair, mendedRoute } from '../resources/arbitraryResource.ts'
import { structuralVerdict, withoutNulls } from '../resources/structuralVerdict.ts'

/** Another seed makes other resources; a failure names the resource whole. */
export const seed = Number(process.env['PACELINE_SEED'] ?? 4)
export const kinds = {
  ModelDeployment: { plural: 'modeldeployments', schema: ModelDeploymentSpec, mend: mendedPair, count: 1_600 },
  ModelRoute: { plural: 'modelroutes', schema: ModelRouteSpec, mend: mendedRoute, count: 400 },
} as const
export type Kind = keyof typeof kinds

const Answer = z.object({
  spec: z.unknown().optional(),
  message: z.string().optional(),
})

interface Told {
  readonly status: number
  readonly answer: z.infer<typeof Answer>
}

/** Where and with what resources are written. */
export interface Teller {
  readonly api: Transport
  readonly namespace: string
}

/** Creates it, or replaces its spec and nothing else, whoever has written to it meanwhile. */
export async function tell({ api, namespace }: Teller, kind: Kind, name: string, spec: unknown): Promise<Told> {
  const collection = `/apis/${apiVersion}/namespaces/${namespace}/${kinds[kind].plural}`
  const strictly = '?fieldValidation=Strict'
  const send = (method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown) =>
    api.send({ method, path, timeoutMs: 30_000, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  for (let attempt = 1; ; attempt += 1) {
    const found = await send('GET', `${collection}/${name}`)
    const { status, body } =
      found.status === 404
        ? await send('POST', collection + strictly, { apiVersion, kind, metadata: { name, namespace }, spec })
        : await send('PUT', `${collection}/${name}${strictly}`, { ...Found.parse(JSON.parse(found.body)), spec })
    if (status !== 409 || attempt === 50) return { status, answer: Answer.parse(JSON.parse(body)) }
  }
}

const Found = z.record(z.string(), z.unknown())

export const specSchemaOf = (kind: Kind): StructuralSchema => {
  const found = resourceKinds.find((candidate) => candidate.kind === kind)
  return found === undefined ? {} : (rootSchema(found).properties?.spec ?? {})
}

const routeName = (spec: unknown) => z.object({ name: z.unknown() }).safeParse(spec).data?.name

/** One name whose spec changes again and again; gives what went wrong and how often each verdict came. */
export async function flipFlop(teller: Teller, kind: Kind, name: string, specs: readonly unknown[]) {
  const schema = specSchemaOf(kind)
  const count = { good: 0, bad: 0, wrong: [] as string[] }
  let before: { spec: unknown } | null = null
  for (const spec of specs) {
    const expected = kinds[kind].schema.safeParse(withoutNulls(schema, spec))
    const { problems } = structuralVerdict(schema, spec)
    // The one rule that only a change can break.
    const renames = kind === 'ModelRoute' && before !== null && routeName(before.spec) !== routeName(spec)
    const shouldTake = expected.success && problems.length === 0 && !renames
    const { status, answer } = await tell(teller, kind, name, spec)
    const took = status === 200 || status === 201
    const complaint = judge({ took, shouldTake, status, answer, expected: expected.data })
    if (complaint !== null) count.wrong.push(`${complaint}: ${JSON.stringify({ spec, problems, answer })}`)
    count[took ? 'good' : 'bad'] += 1
    if (took) before = { spec }
  }
  return count
}

interface Judged {
  readonly took: boolean
  readonly shouldTake: boolean
  readonly status: number
  readonly answer: z.infer<typeof Answer>
  readonly expected: unknown
}

function judge({ took, shouldTake, status, answer, expected }: Judged): string | null {
  if (took !== shouldTake) return took ? 'taken, though the schema refuses it' : 'refused, though the schema takes it'
  if (took) return isDeepStrictEqual(answer.spec, expected) ? null : 'other defaults'
  if (status < 400 || status >= 500) return `answered by ${status}`
  return /spec/.test(answer.message ?? '') ? null : 'refused without saying where'
}
