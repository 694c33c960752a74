/** Every documented set of values, judged by a real API server: no field that it does not know, no pod that `restricted` refuses. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { projectFolder } from '../bench/harness/machine.ts'
import { render } from '../integration/support/helm.ts'
import { describeCluster } from './kit/sharedCluster.ts'

const folder = join(projectFolder, 'charts', 'variants')
const variants = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const namespace = 'variants'

describeCluster('an API server takes', (cluster) => {
  beforeAll(async () => {
    await cluster().kubectl('create', 'namespace', namespace)
    for (const mode of ['enforce', 'warn'])
      await cluster().kubectl('label', 'namespace', namespace, `pod-security.kubernetes.io/${mode}=restricted`)
  })
  // A pod is only judged where its account is, and a dry run makes none.
  beforeAll(() => cluster().kubectl('create', 'serviceaccount', 'paceline-router', '--namespace', namespace))
  afterAll(async () => {
    await cluster().kubectl('delete', 'namespace', namespace, '--wait=false')
  })

  test.each(['the defaults', ...variants])('what the chart makes of %s', async (name) => {
    const values: unknown = name === 'the defaults' ? {} : parse(readFileSync(join(folder, name), 'utf8'))
    const { objects } = render(values, { namespace })
    // Those of the Prometheus operator have no definition here; those of ours are tried by other tests.
    const known = objects.filter(
      ({ apiVersion, kind }) => !apiVersion.startsWith('monitoring.') && kind !== 'CustomResourceDefinition',
    )
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: known })
    const { code, stderr } = await cluster().tryKubectl(
      ['-n', namespace, 'apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'],
      { input },
    )
    expect(code, stderr).toBe(0)
    // A Deployment whose pods would be refused is only warned about.
    expect(stderr).not.toContain('Warning')
  })
})
