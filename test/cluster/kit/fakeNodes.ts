/**
 * Nodes and pods that exist in the API only, played by KWOK: thousands of pods on two cores.
 *
 * Fake nodes bear a taint, so that real pods stay away; a pod that is meant for them tolerates it and selects `type: kwok`.
 */
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Cluster, waitFor } from './cluster.ts'
import { flags } from './controlPlane.ts'
import { programPath } from './programs.ts'

const annotation = 'kwok.x-k8s.io/node'
const podsPerNode = '110'

/** What a pod template needs to run there. */
export const onFakeNodes = {
  nodeSelector: { type: 'kwok' },
  tolerations: [{ key: annotation, operator: 'Exists' as const }],
}

export async function addFakeNodes(cluster: Cluster, count: number): Promise<void> {
  if (cluster.pidOf('kwok') === null) await startKwok(cluster)
  const nodes = Array.from({ length: count }, (_, index) => stringify(node(`fake-${index}`)))
  await cluster.apply(nodes.join('---\n'), '--server-side')
  await waitFor(
    { what: `${count} fake nodes`, waitMsMax: 120_000, everyMs: 500, explain: () => cluster.lastWords('kwok') },
    async () => {
      const listed = await cluster.kubectl('get', 'nodes', '-l', 'type=kwok', '--no-headers')
      return listed.split('\n').filter((line) => / Ready\b/.test(line)).length >= count
    },
  )
}

async function startKwok(cluster: Cluster): Promise<void> {
  const options = flags({
    config: join(import.meta.dirname, 'stages.yaml'),
    kubeconfig: cluster.kubeconfig,
    'manage-all-nodes': false,
    'manage-nodes-with-annotation-selector': `${annotation}=fake`,
    cidr: '10.48.0.0/12',
    'node-ip': cluster.addresses.node,
    'node-lease-duration-seconds': 40,
  })
  await cluster.startBeside('kwok', programPath('kwok'), options)
}

function node(name: string): object {
  const room = { cpu: '256', memory: '1Ti', pods: podsPerNode, 'nvidia.com/gpu': '8' }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: { [annotation]: 'fake', 'node.alpha.kubernetes.io/ttl': '0' },
      labels: { type: 'kwok', 'kubernetes.io/os': 'linux', 'kubernetes.io/hostname': name },
    },
    spec: { taints: [{ key: annotation, value: 'fake', effect: 'NoSchedule' }] },
    status: { capacity: room, allocatable: room },
  }
}
