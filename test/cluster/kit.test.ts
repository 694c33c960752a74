/** The kit itself: a real Kubernetes that comes up, runs pods, survives what tests do to it, and leaves nothing. */
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type Cluster, waitFor } from './kit/cluster.ts'
import { imageNames, webImage } from './kit/imageSet.ts'
import { differences, type MachineState, machineState } from './kit/machineState.ts'
import { describeOwnCluster } from './kit/sharedCluster.ts'

const web = (name: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 5
  securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
  containers:
    - name: web
      image: ${imageNames.web}
      imagePullPolicy: Never
      ports: [{ containerPort: 8080 }]
      readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`

async function runPod(cluster: Cluster, namespace: string): Promise<string> {
  await cluster.kubectl('create', 'namespace', namespace)
  await cluster.apply(web('one'), '-n', namespace)
  await cluster.kubectl('-n', namespace, 'wait', '--for=condition=Ready', 'pod/one', '--timeout=60s')
  return cluster.kubectl('-n', namespace, 'get', 'pod', 'one', '-o', 'jsonpath={.status.podIP}')
}

const read = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(10_000) })).text()

let before: MachineState
beforeAll(async () => {
  // Which slot it gets is known only afterwards; the state before is taken without any.
  before = await machineState('paceline-none')
})

describeOwnCluster('a cluster', { extent: 'all' }, (cluster) => {
  beforeAll(() => cluster().loadImages([webImage()]))

  test('runs a pod that the host reaches by its address and by its service, and that finds names', async () => {
    const address = await runPod(cluster(), 'kit')
    expect(await read(`http://${address}:8080/`)).toBe('one\n')
    const service = await cluster().kubectl('-n', 'kit', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')
    const byService = () => read(`http://${service}/`)
    expect(await waitFor({ what: 'the rules of the service', waitMsMax: 10_000 }, byService)).toBe('one\n')
    const lookup = (name: string) => read(`http://${address}:8080/lookup/${name}`)
    expect(await waitFor({ what: 'the name of the service', waitMsMax: 20_000 }, () => lookup('web'))).toBe(
      `${service}\n`,
    )
    expect(await lookup('kubernetes.default.svc.cluster.local')).toBe(`${cluster().addresses.apiService}\n`)
    // Through its own service back to itself.
    expect(await read(`http://${address}:8080/fetch/${encodeURIComponent('http://web/')}`)).toContain('one')
  })

  test('refuses in a restricted namespace what the restricted policy refuses', async () => {
    await cluster().kubectl('create', 'namespace', 'kit-restricted')
    await cluster().kubectl('label', 'namespace', 'kit-restricted', 'pod-security.kubernetes.io/enforce=restricted')
    const pod = ['-n', 'kit-restricted', 'run', 'x', '--image', imageNames.web]
    const refused = await cluster().tryKubectl(pod)
    expect(refused.stderr).toContain('violates PodSecurity "restricted:latest"')
  })

  test('keeps pods and objects when etcd, the API and the node agents are killed', async () => {
    for (const component of ['etcd', 'kube-apiserver', 'kubelet', 'containerd', 'kube-controller-manager'] as const)
      await cluster().restart(component)
    const pod = [
      '-n',
      'kit',
      'get',
      'pod',
      'one',
      '-o',
      'jsonpath={.status.phase}/{.status.containerStatuses[0].restartCount}',
    ]
    expect(await cluster().kubectl(...pod)).toBe('Running/0')
  })

  test('writes down who wrote what', async () => {
    await cluster().kubectl('create', 'namespace', 'kit-audit')
    const entry = cluster()
      .audit()
      .findLast(({ resource }) => resource === 'namespaces')
    expect(entry).toMatchObject({ verb: 'create', user: 'admin', name: 'kit-audit', code: 201 })
  })

  test('leaves the machine as it was: mounts, links, routes, rules, groups, settings, processes', async () => {
    const { id, folder } = cluster().addresses
    const during = differences(before, await machineState(id)).join('\n')
    for (const kind of ['links', 'routes', 'controlGroups', 'processes']) expect(during).toContain(`${kind}: +`)
    // A component that cannot hear must not keep the rest alive.
    cluster().freeze('kube-scheduler')
    await cluster().down()
    await expect.poll(async () => differences(before, await machineState(id)), { timeout: 20_000 }).toEqual([])
    expect(existsSync(folder), basename(folder)).toBe(false)
  })
})
