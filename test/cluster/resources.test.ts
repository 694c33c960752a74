/**
 * Two thousand generated resources against the real API server: bounds, nulls, wrong types, unknown fields, and names whose spec
 * flips between good and bad. What it takes is exactly what the schemas take, with the same defaults; what it refuses, it refuses
 * with a message; and after a refusal the next good spec is taken.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { resourceKinds, rootSchema } from '../../cli/generate/crds.ts'
import type { StructuralSchema } from '../../cli/generate/structuralSchema.ts'
import { revisionOf } from '../../operator/core/revision.ts'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { historyName, labels } from '../../operator/kubernetes/core/names.ts'
import { createTransport, type Transport } from '../../operator/kubernetes/transport.ts'
import { apiVersion } from '#contracts/resources/metadata.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { systemClock } from '#runtime/clock.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { arbitrarySpec, mendedPair, mendedRoute } from '../resources/arbitraryResource.ts'
import { structuralVerdict, withoutNulls } from '../resources/structuralVerdict.ts'
import { describeCluster } from './kit/shared.ts'
import { chart } from './paceline.ts'

const namespace = 'generated-resources'
/** Another seed makes other resources; a failure names the resource whole. */
const seed = Number(process.env['PACELINE_SEED'] ?? 4)
const specsPerName = 20

const kinds = {
  ModelDeployment: { plural: 'modeldeployments', schema: ModelDeploymentSpec, mend: mendedPair, count: 1_600 },
  ModelRoute: { plural: 'modelroutes', schema: ModelRouteSpec, mend: mendedRoute, count: 400 },
} as const
type Kind = keyof typeof kinds

const Answer = z.object({
  metadata: z.object({ resourceVersion: z.string().optional() }).optional(),
  spec: z.unknown().optional(),
  message: z.string().optional(),
})

interface Told {
  readonly status: number
  readonly answer: z.infer<typeof Answer>
}

async function tell(api: Transport, kind: Kind, name: string, spec: unknown, before: string | null): Promise<Told> {
  const path = `/apis/${apiVersion}/namespaces/${namespace}/${kinds[kind].plural}`
  const metadata = { name, namespace, ...(before === null ? {} : { resourceVersion: before }) }
  const { status, body } = await api.send({
    method: before === null ? 'POST' : 'PUT',
    path: `${path}${before === null ? '' : `/${name}`}?fieldValidation=Strict`,
    body: JSON.stringify({ apiVersion, kind, metadata, spec }),
    timeoutMs: 30_000,
  })
  return { status, answer: Answer.parse(JSON.parse(body)) }
}

const specSchemaOf = (kind: Kind): StructuralSchema => {
  const found = resourceKinds.find((candidate) => candidate.kind === kind)
  return found === undefined ? {} : (rootSchema(found).properties?.spec ?? {})
}

const routeName = (spec: unknown) => z.object({ name: z.unknown() }).safeParse(spec).data?.name

/** One name whose spec changes again and again; gives what went wrong and how often each verdict came. */
async function flipFlop(api: Transport, kind: Kind, name: string, specs: readonly unknown[]) {
  const schema = specSchemaOf(kind)
  const count = { good: 0, bad: 0, wrong: [] as string[] }
  let before: { version: string; spec: unknown } | null = null
  for (const spec of specs) {
    const expected = kinds[kind].schema.safeParse(withoutNulls(schema, spec))
    const { problems } = structuralVerdict(schema, spec)
    // The one rule that only a change can break.
    const renames = kind === 'ModelRoute' && before !== null && routeName(before.spec) !== routeName(spec)
    const shouldTake = expected.success && problems.length === 0 && !renames
    const { status, answer } = await tell(api, kind, name, spec, before?.version ?? null)
    const took = status === 200 || status === 201
    const complaint = judge({ took, shouldTake, status, answer, expected: expected.data })
    if (complaint !== null) count.wrong.push(`${complaint}: ${JSON.stringify({ spec, problems, answer })}`)
    count[took ? 'good' : 'bad'] += 1
    if (took) before = { version: answer.metadata?.resourceVersion ?? '', spec }
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

describeCluster('generated resources', (cluster) => {
  beforeAll(async () => {
    const definitions = join(chart, 'files', 'crds')
    for (const file of readdirSync(definitions))
      await cluster().kubectl('apply', '--server-side', '--force-conflicts', '-f', join(definitions, file))
    await cluster().kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s')
    await cluster().kubectl('create', 'namespace', namespace)
    return async () => {
      await cluster().kubectl('delete', 'namespace', namespace, '--wait=false')
    }
  })

  test.each(Object.keys(kinds) as Kind[])('of kind %s are taken or refused as the schemas say', async (kind) => {
    const api = createTransport(openAccess(cluster().kubeconfig, systemClock), systemClock)
    const { count, mend } = kinds[kind]
    const specs = fc.sample(arbitrarySpec({ spec: specSchemaOf(kind), mend }), { seed, numRuns: count })
    const names = Array.from({ length: count / specsPerName }, (_, i) => `flip-${i}`)
    const results = await Promise.all(
      names.map((name, i) => flipFlop(api, kind, name, specs.slice(i * specsPerName, (i + 1) * specsPerName))),
    )
    api.close()
    expect(results.flatMap(({ wrong }) => wrong)).toEqual([])
    const sum = (verdict: 'good' | 'bad') => results.reduce((total, result) => total + result[verdict], 0)
    expect(sum('good') + sum('bad')).toBe(count)
    expect(sum('good')).toBeGreaterThan(count / 6)
    expect(sum('bad')).toBeGreaterThan(count / 6)
  })

  test('are refused by the rule that only a change can break: the name of a route stays', async () => {
    const api = createTransport(openAccess(cluster().kubeconfig, systemClock), systemClock)
    const direct = { deployment: 'smol' }
    const made = await tell(api, 'ModelRoute', 'named', { name: 'assistant', direct }, null)
    const version = made.answer.metadata?.resourceVersion ?? ''
    const renamed = await tell(api, 'ModelRoute', 'named', { name: 'other', direct }, version)
    expect(renamed).toMatchObject({
      status: 422,
      answer: { message: expect.stringContaining('cannot be changed') as unknown },
    })
    api.close()
  })

  test('can be scaled before they name a number, and not past a rule', async () => {
    const api = createTransport(openAccess(cluster().kubeconfig, systemClock), systemClock)
    const engine = { kind: 'simulated' }
    await tell(api, 'ModelDeployment', 'plain', { engine }, null)
    await cluster().kubectl('-n', namespace, 'scale', 'pair/plain', '--replicas=2')
    const replicas = ['-n', namespace, 'get', 'pair', 'plain', '-o', 'jsonpath={.spec.replicas}']
    expect(await cluster().kubectl(...replicas)).toBe('2')
    await tell(api, 'ModelDeployment', 'scaled', { engine, scaling: { maxReplicas: 3 } }, null)
    const refused = await cluster().tryKubectl(['-n', namespace, 'scale', 'pair/scaled', '--replicas=2'])
    expect(refused.stderr).toContain('replicas and scaling exclude each other')
    api.close()
  })

  test('are previewed by paceline plan, from what is in the cluster', async () => {
    const spec = ModelDeploymentSpec.parse({ engine: { kind: 'simulated' } })
    await cluster().apply(pairText('planned', { engine: { kind: 'simulated' } }), '-n', namespace)
    await cluster().apply(JSON.stringify(historyOf('planned', spec)), '-n', namespace)
    await cluster().apply(JSON.stringify(readyPod('planned', revisionOf(spec, image))), '-n', namespace)
    const ready = JSON.stringify({ status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } })
    await cluster().kubectl('-n', namespace, 'patch', 'pod', 'planned-1', '--subresource=status', '-p', ready)

    const file = join(mkdtempSync(join(tmpdir(), 'paceline-plan-')), 'changed.yaml')
    writeFileSync(file, pairText('planned', { engine: { kind: 'simulated', slots: 4 } }))
    const place = ['--kubeconfig', cluster().kubeconfig, '--namespace', namespace]
    const { stdout } = await execute(process.execPath, [
      join(projectFolder, 'cli', 'main.ts'),
      'plan',
      '--file',
      file,
      ...place,
    ])
    expect(stdout.replaceAll(/[0-9a-f]{10}/g, 'REVISION').split('\n')).toEqual([
      'planned: engine.slots 8 → 4; revision REVISION → REVISION',
      '  1. start a worker of revision REVISION, then wait until ready (900 s at most, else back to REVISION)',
      '  2. drain planned-1 (replaced), then wait until it has finished (70 s at most)',
      '  3. watch it for 60 s, else back to REVISION',
      '  at least 1 worker answering all the time, 2 workers at most at the same time',
      '',
    ])
  })
})

const execute = promisify(execFile)
const image = 'localhost/worker:1'

const pairText = (name: string, spec: object) =>
  JSON.stringify({ apiVersion, kind: 'ModelDeployment', metadata: { name }, spec })

/** As the operator keeps it. */
const historyOf = (name: string, spec: ModelDeploymentSpec) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: historyName(name) },
  data: {
    history: JSON.stringify([
      { revision: revisionOf(spec, image), spec, image, createdAt: '2030-01-01T00:00:00Z', state: 'good', message: '' },
    ]),
  },
})

/** A pod that no node ever runs. */
const readyPod = (pair: string, revision: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `${pair}-1`, labels: { [labels.deployment]: pair, [labels.revision]: revision } },
  spec: {
    schedulerName: 'nobody',
    terminationGracePeriodSeconds: 70,
    containers: [{ name: 'worker', image }],
  },
})
