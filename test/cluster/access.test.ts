/** Who may do what: the accounts of the release, the restricted Pod Security Standard, and what a resource cannot be used for. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describePaceline } from './sharedPaceline.ts'
import type { Paceline } from './paceline.ts'
import { stateOf } from './pairs.ts'
import { waitFor } from './kit/cluster.ts'

const golden = (name: string) => join(import.meta.dirname, 'golden', name)
const accounts = ['paceline-operator', 'paceline-router', 'paceline-worker', 'default'] as const

/** What `kubectl auth can-i --list` says, one permission per line, without the columns' spaces. */
async function permissions(paceline: Paceline, account: string): Promise<string> {
  const user = `system:serviceaccount:${paceline.namespace}:${account}`
  const said = await paceline.kubectl('auth', 'can-i', '--list', '--as', user)
  const lines = said
    .split('\n')
    .slice(1)
    .map((line) => line.trim().replace(/ {2,}/g, ' '))
  // Lines without a resource are pages that every account of a cluster may read.
  return `${lines
    .filter((line) => line !== '' && !line.startsWith('['))
    .toSorted()
    .join('\n')}\n`
}

const simulated = { engine: { kind: 'simulated' } }
const template = (spec: object) => ({ ...simulated, podTemplate: { spec } })
const container = (fields: object) => template({ containers: [{ name: 'worker', ...fields }] })
const labelled = (labels: object) => ({ ...simulated, podTemplate: { metadata: { labels } } })

/** What somebody who may write pairs could try, to become more than that. */
const attempts: Readonly<Record<string, object>> = {
  'host network': template({ hostNetwork: true }),
  'host process ids': template({ hostPID: true }),
  'host interprocess communication': template({ hostIPC: true }),
  'host path': template({ volumes: [{ name: 'x', hostPath: { path: '/' } }] }),
  'secret as a volume': template({ volumes: [{ name: 'x', secret: { secretName: 'paceline-nats-auth' } }] }),
  'other service account': template({ serviceAccountName: 'paceline-operator' }),
  'token of the account': template({ automountServiceAccountToken: true }),
  'root user': template({ securityContext: { runAsUser: 0 } }),
  'chosen node': template({ nodeName: 'node-1' }),
  'shared processes': template({ shareProcessNamespace: true }),
  'second container': container({ name: 'second', image: 'evil' }),
  'container before': template({ initContainers: [{ name: 'before', image: 'evil' }] }),
  'privileged container': container({ securityContext: { privileged: true } }),
  'more capabilities': container({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }),
  'own command': container({ command: ['sh'] }),
  'own image': container({ image: 'evil' }),
  'variables from a secret': container({ envFrom: [{ secretRef: { name: 'paceline-nats-auth' } }] }),
  'priority of the system': template({ priorityClassName: 'system-node-critical' }),
  'labels of another pair': labelled({ 'paceline.dev/deployment': 'other' }),
  'labels of the operator': labelled({ 'app.kubernetes.io/component': 'operator' }),
  'annotations for injectors': {
    ...simulated,
    podTemplate: { metadata: { annotations: { 'sidecar.istio.io/inject': 'x' } } },
  },
  'host names': template({ hostAliases: [{ ip: '127.0.0.1', hostnames: ['x'] }] }),
}

describePaceline('access', (paceline) => {
  test.for(accounts)('of %s is exactly what the golden list says, without wildcards', async (account) => {
    const path = golden(`can-i-${account}.txt`)
    const found = await permissions(paceline(), account)
    // The first run on a new version writes it; a person reads it before it is committed.
    if (!existsSync(path)) writeFileSync(path, found)
    expect(found).toBe(readFileSync(path, 'utf8'))
    expect(found.split('\n').filter((line) => line.includes('*'))).toEqual([])
  })

  test('to more than a pair is refused, however a pair asks for it', async () => {
    const tries = Object.entries(attempts).map(async ([what, spec]) => {
      const resource = {
        apiVersion: 'paceline.dev/v1alpha1',
        kind: 'ModelDeployment',
        metadata: { name: 'grab' },
        spec,
      }
      const args = ['-n', paceline().namespace, 'create', '--dry-run=server', '--validate=strict', '-f', '-']
      const { code, stderr } = await paceline().cluster.tryKubectl(args, { input: JSON.stringify(resource) })
      return code === 0 || stderr === '' ? [what] : []
    })
    expect((await Promise.all(tries)).flat()).toEqual([])
  })

  test('to the network of the cluster by a model source ends in a condition', async () => {
    const source = 'http://169.254.169.254/latest/meta-data/model.gguf'
    const spec = { target: { source, sha256: '0'.repeat(64) } }
    await paceline().apply(
      JSON.stringify({
        apiVersion: 'paceline.dev/v1alpha1',
        kind: 'ModelDeployment',
        metadata: { name: 'probe' },
        spec,
      }),
    )
    const said = await waitFor({ what: 'a condition that refuses', waitMsMax: 30_000, everyMs: 300 }, async () => {
      const { status } = await stateOf(paceline(), 'probe')
      return status.conditions.find(({ message }) => message.includes('http://'))
    })
    expect(said.message).toContain('169.254.169.254')
  })

  test('of workers to anything: their pods hold no token', async () => {
    const pods = await paceline().kubectl('get', 'pods', '-o', 'json')
    const mounts = [...pods.matchAll(/"mountPath": "\/var\/run\/secrets\/kubernetes\.io\/serviceaccount"/g)]
    const operators = [...pods.matchAll(/"app.kubernetes.io\/component": "operator"/g)]
    expect(mounts.length).toBeLessThanOrEqual(operators.length)
  })
})
