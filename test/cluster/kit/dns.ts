/** CoreDNS in the cluster, at the address that kubelet writes into every pod. */
import { stringify } from 'yaml'
import type { Cluster } from './cluster.ts'

export async function startDns(cluster: Cluster): Promise<void> {
  await cluster.apply(
    objects(cluster.addresses.dnsService)
      .map((object) => stringify(object))
      .join('---\n'),
  )
  await cluster.kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s')
}

const name = 'coredns'
const namespace = 'kube-system'
const role = `system:${name}`
const rbac = 'rbac.authorization.k8s.io'
const read = ['list', 'watch']

const corefile = `
.:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
`

const container = {
  name,
  image: 'localhost/coredns:1',
  imagePullPolicy: 'Never',
  args: ['-conf', '/etc/coredns/Corefile'],
  resources: { requests: { cpu: '50m', memory: '40Mi' }, limits: { memory: '170Mi' } },
  ports: [
    { containerPort: 53, protocol: 'UDP', name: 'dns' },
    { containerPort: 53, protocol: 'TCP', name: 'dns-tcp' },
  ],
  readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
  volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
}

const pod = {
  serviceAccountName: name,
  dnsPolicy: 'Default',
  priorityClassName: 'system-cluster-critical',
  containers: [container],
  volumes: [{ name: 'config', configMap: { name } }],
}

const objects = (clusterIP: string): object[] => [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: role },
    rules: [
      { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: read },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: role },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { Corefile: corefile } },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { 'k8s-app': 'kube-dns' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { 'k8s-app': 'kube-dns' } },
      template: { metadata: { labels: { 'k8s-app': 'kube-dns' } }, spec: pod },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kube-dns', namespace },
    spec: {
      clusterIP,
      selector: { 'k8s-app': 'kube-dns' },
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
    },
  },
]
