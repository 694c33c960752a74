/**
 * Two thousand generated resources against the real API server: bounds, nulls, wrong types, unknown fields, and names whose spec
 * flips between good and bad. What it takes is exactly what the schemas take, with the same defaults; what it refuses, it refuses
 * with a message; and after a refusal the next good spec is taken.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { revisionOf } from '../../operator/core/revision.ts'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { historyName, labels } from '../../operator/kubernetes/core/names.ts'
import { createTransport, type Transport } from '../../operator/kubernetes/transport.ts'
import { apiVersion } from '#contracts/resources/metadata.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { systemClock } from '#runtime/clock.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { arbitrarySpec } from '../resources/arbitraryResource.ts'
import { flipFlop, type Kind, kinds, seed, specSchemaOf, tell, type Teller } from './flipFlop.ts'
import { describeCluster } from './kit/sharedCluster.ts'

const namespace = 'generated-resources'
const specsPerName = 20
const teller = (api: Transport): Teller => ({ api, namespace })

describeCluster('generated resources', (cluster) => {
  beforeAll(async () => {
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
      names.map((name, i) => flipFlop(teller(api), kind, name, specs.slice(i * specsPerName, (i + 1) * specsPerName))),
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
    await tell(teller(api), 'ModelRoute', 'named', { name: 'assistant', direct })
    const renamed = await tell(teller(api), 'ModelRoute', 'named', { name: 'other', direct })
    expect(renamed).toMatchObject({
      status: 422,
      answer: { message: expect.stringContaining('cannot be changed') as unknown },
    })
    api.close()
  })

  test('can be scaled before they name a number, and not past a rule', async () => {
    const api = createTransport(openAccess(cluster().kubeconfig, systemClock), systemClock)
    const engine = { kind: 'simulated' }
    await tell(teller(api), 'ModelDeployment', 'plain', { engine })
    await cluster().kubectl('-n', namespace, 'scale', 'pair/plain', '--replicas=2')
    const replicas = ['-n', namespace, 'get', 'pair', 'plain', '-o', 'jsonpath={.spec.replicas}']
    expect(await cluster().kubectl(...replicas)).toBe('2')
    await tell(teller(api), 'ModelDeployment', 'scaled', { engine, scaling: { maxReplicas: 3 } })
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
