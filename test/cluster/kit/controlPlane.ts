/**
 * etcd, kube-apiserver, controllers and scheduler: their command lines and when they are ready.
 *
 * etcd does not sync to disk: it survives kill -9, which is what tests do, and is much faster. The API writes an audit log, so that
 * a test can say who wrote what and when.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Addresses } from './addresses.ts'
import { apiReader } from './api.ts'
import type { Box } from './box.ts'
import { Hopeless, waitFor } from './commands.ts'
import { programPath } from './programs.ts'

export interface ControlPlaneOptions {
  /** More flags for kube-apiserver and kube-controller-manager. */
  readonly apiFlags?: readonly string[]
  readonly controllerFlags?: readonly string[]
}

export const auditLog = (addresses: Addresses): string => join(addresses.folder, 'logs', 'audit.jsonl')

export async function startApi(box: Box, options: ControlPlaneOptions): Promise<void> {
  const { addresses } = box
  mkdirSync(join(addresses.folder, 'etcd'))
  writeFileSync(join(addresses.folder, 'audit.yaml'), stringify(auditPolicy))
  await box.start('etcd', programPath('etcd'), etcdFlags(addresses))
  await box.start('kube-apiserver', programPath('kube-apiserver'), [
    ...apiFlags(addresses),
    ...(options.apiFlags ?? []),
  ])
  await apiReady(box)
}

/** Resolves when the API says it is ready. */
export function apiReady(box: Box, waitMsMax = 60_000): Promise<string> {
  const read = apiReader(box.addresses)
  return ready(box, 'kube-apiserver', waitMsMax, () => read('/readyz'))
}

/** Waits for `look`, but not for a component that has died. */
export function ready<T>(box: Box, name: string, waitMsMax: number, look: () => Promise<T | undefined | false>) {
  const explain = () => `last words of ${name}:\n${box.lastWords(name)}`
  return waitFor({ what: `${name} to be ready`, waitMsMax, explain }, () => {
    if (box.pidOf(name) === null) throw new Hopeless(`${name} ended:\n${box.lastWords(name)}`)
    return look()
  })
}

export async function startControllers(box: Box, options: ControlPlaneOptions): Promise<void> {
  const { folder } = box.addresses
  const pki = (file: string) => join(folder, 'pki', file)
  const both = { 'leader-elect': false, 'bind-address': '127.0.0.1' }
  const controllerManager = flags({
    kubeconfig: join(folder, 'controller-manager.kubeconfig'),
    'root-ca-file': pki('ca.crt'),
    'service-account-private-key-file': pki('sa.key'),
    'use-service-account-credentials': true,
    'allocate-node-cidrs': false,
    'kube-api-qps': 100,
    'kube-api-burst': 200,
    'cluster-signing-cert-file': pki('ca.crt'),
    'cluster-signing-key-file': pki('ca.key'),
    ...both,
  })
  await box.start('kube-controller-manager', programPath('kube-controller-manager'), [
    ...controllerManager,
    ...(options.controllerFlags ?? []),
  ])
  const scheduler = { kubeconfig: join(folder, 'scheduler.kubeconfig'), 'kube-api-qps': 200, 'kube-api-burst': 400 }
  await box.start('kube-scheduler', programPath('kube-scheduler'), flags({ ...scheduler, ...both }))
  const read = apiReader(box.addresses)
  const account = '/api/v1/namespaces/default/serviceaccounts/default'
  await ready(box, 'kube-controller-manager', 60_000, () => read(account))
}

/** `--name=value` for each. */
export const flags = (values: Readonly<Record<string, string | number | boolean>>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${String(value)}`)

function etcdFlags({ folder, id }: Addresses): string[] {
  const client = 'http://127.0.0.1:2379'
  const peer = 'http://127.0.0.1:2380'
  return flags({
    name: id,
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `${id}=${peer}`,
    'unsafe-no-fsync': true,
    'quota-backend-bytes': 2_147_483_648,
    'log-level': 'warn',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '10m',
  })
}

function apiFlags(addresses: Addresses): string[] {
  const { folder, node, serviceRange } = addresses
  const pki = (file: string) => join(folder, 'pki', file)
  return flags({
    'etcd-servers': 'http://127.0.0.1:2379',
    'bind-address': '0.0.0.0',
    'secure-port': 6443,
    // Pods reach the API's service address through this one.
    'advertise-address': node,
    'service-cluster-ip-range': serviceRange,
    'allow-privileged': true,
    'tls-cert-file': pki('apiserver.crt'),
    'tls-private-key-file': pki('apiserver.key'),
    'client-ca-file': pki('ca.crt'),
    'kubelet-certificate-authority': pki('ca.crt'),
    'kubelet-client-certificate': pki('apiserver-kubelet-client.crt'),
    'kubelet-client-key': pki('apiserver-kubelet-client.key'),
    'kubelet-preferred-address-types': 'InternalIP',
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': pki('sa.pub'),
    'service-account-signing-key-file': pki('sa.key'),
    'requestheader-client-ca-file': pki('front-proxy-ca.crt'),
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': pki('front-proxy-client.crt'),
    'proxy-client-key-file': pki('front-proxy-client.key'),
    'enable-aggregator-routing': true,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'audit-policy-file': join(folder, 'audit.yaml'),
    'audit-log-path': auditLog(addresses),
    'audit-log-mode': 'blocking',
  })
}

/** Everything that accounts of our namespaces ask for, and every write of anybody else but the machinery. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system', 'system:nodes'] },
    { level: 'None', users: ['system:kube-scheduler', 'system:kube-controller-manager', 'system:apiserver'] },
    { level: 'Metadata', userGroups: ['system:serviceaccounts'] },
    { level: 'Metadata', verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] },
    { level: 'None' },
  ],
}
