/** The definitions of ModelDeployment and ModelRoute as the real API server sees them: accepted, defaulted, enforced. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { projectFolder } from '../bench/harness/machine.ts'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { describeCluster } from './kit/sharedCluster.ts'

const sha256 = 'a'.repeat(64)
const target = { source: 'https://models.example/m.gguf', sha256 }
const pair = (spec: object, name = 'x') => ({
  apiVersion: 'paceline.dev/v1alpha1',
  kind: 'ModelDeployment',
  metadata: { name },
  spec,
})

/** What must be refused, and a word of the message that says why. */
const refused: readonly (readonly [what: string, resource: object, word: RegExp])[] = [
  ['no model for a real engine', pair({}), /target/],
  [
    'replicas and scaling together',
    pair({ target, replicas: 2, scaling: { minReplicas: 1, maxReplicas: 2 } }),
    /replicas/,
  ],
  ['fewest above most', pair({ target, scaling: { minReplicas: 3, maxReplicas: 2 } }), /minReplicas/],
  ['drafting without a draft', pair({ target, speculation: { method: 'draft' } }), /draft/],
  ['what was learned of a draft that is not there', pair({ target, speculation: { acceptance: target } }), /draft/],
  ['a draft that is switched off', pair({ target, draft: target, speculation: { method: 'off' } }), /draft/],
  [
    'reproducible with an f16 cache',
    pair({ target, engine: { reproducible: true }, compression: { kvCache: { type: 'f16' } } }),
    /reproducible|f16/,
  ],
  ['an unknown field', pair({ target, replica: 2 }), /unknown field "spec.replica"/],
  ['a wrong type', pair({ target, replicas: 'two' }), /integer/],
  ['a negative number', pair({ target, replicas: -1 }), /greater than or equal to 0/],
  ['a checksum that is none', pair({ target: { ...target, sha256: 'abc' } }), /sha256/],
  ['a source that cannot be fetched', pair({ target: { ...target, source: 'ftp://x/y' } }), /source/],
  ['a name too long for its workers', pair({ target }, 'x'.repeat(47)), /at most 46/],
  ['a host path', pair({ target, podTemplate: { spec: { volumes: [{ hostPath: { path: '/' } }] } } }), /unknown field/],
  ['a service account', pair({ target, podTemplate: { spec: { serviceAccountName: 'admin' } } }), /unknown field/],
]

describeCluster('definitions', (cluster) => {
  const dryRun = (resource: object) =>
    cluster().tryKubectl(['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-'], {
      input: JSON.stringify(resource),
    })

  test('accept every example, with the defaults that files get', async () => {
    for (const file of ['smol.yaml', 'simulated.yaml', 'local.yaml', 'gpu.yaml']) {
      const [document] = parseAllDocuments(readFileSync(join(projectFolder, 'examples', file), 'utf8'))
      const resource = z.record(z.string(), z.unknown()).parse(document?.toJS())
      const { code, stdout, stderr } = await dryRun(resource)
      expect(`${code} ${stderr}`).toBe('0 ')
      const { spec } = z.object({ spec: z.unknown() }).parse(JSON.parse(stdout))
      expect(ModelDeployment.parse({ ...resource, spec }).spec).toEqual(ModelDeployment.parse(resource).spec)
    }
  })

  test('refuse what is wrong, with a message that says what', async () => {
    const answers = await Promise.all(refused.map(([, resource]) => dryRun(resource)))
    const wrong = answers.flatMap(({ code, stderr }, index) => {
      const [what, , word] = refused[index] ?? ['', {}, /$^/]
      return code !== 0 && word.test(stderr) ? [] : [`${what}: ${code} ${stderr}`]
    })
    expect(wrong).toEqual([])
  })

  test('know short names, categories, /scale and printer columns', async () => {
    const namespace = 'definitions'
    await cluster().kubectl('create', 'namespace', namespace)
    const kubectl = (...args: string[]) => cluster().kubectl('-n', namespace, ...args)
    await cluster().apply(JSON.stringify(pair({ target, replicas: 1 }, 'one')), '-n', namespace)
    await kubectl('scale', 'pair/one', '--replicas=3')
    expect(await kubectl('get', 'pair', 'one', '-o', 'jsonpath={.spec.replicas}')).toBe('3')
    expect(await kubectl('get', 'pairs')).toMatch(/NAME +READY +REASON +REPLICAS +WANTED +URL +AGE/)
    expect(await kubectl('get', 'paceline', '-o', 'name')).toContain('modeldeployment.paceline.dev/one')
    await cluster().kubectl('delete', 'namespace', namespace, '--wait=false')
  })
})
