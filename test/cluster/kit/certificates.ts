/**
 * An authority of the cluster's own, the certificates of its components, and their kubeconfig files with everything embedded.
 *
 * By the `openssl` program: Node can read certificates but not make them. Elliptic keys, so all of it takes half a second.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Addresses } from './addresses.ts'
import { run } from './commands.ts'

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export async function makeCertificates(addresses: Addresses): Promise<void> {
  const folder = join(addresses.folder, 'pki')
  mkdirSync(folder, { mode: 0o700 })
  await Promise.all(['ca', 'front-proxy-ca'].map((name) => authority(folder, name)))
  const { nodeName, node, host, apiService } = addresses
  const service = 'DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc'
  const names = `${service},DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1`
  await Promise.all([
    sign(folder, 'apiserver', '/CN=kube-apiserver', `${names},IP:${node},IP:${host},IP:${apiService}`),
    sign(folder, 'kubelet-server', `/CN=${nodeName}`, `DNS:${nodeName},IP:${node},IP:127.0.0.1`),
    sign(folder, 'apiserver-kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client'),
    sign(folder, 'front-proxy-client', '/CN=front-proxy-client', '', 'front-proxy-ca'),
    sign(folder, 'admin', '/O=system:masters/CN=admin'),
    sign(folder, 'controller-manager', '/CN=system:kube-controller-manager'),
    sign(folder, 'scheduler', '/CN=system:kube-scheduler'),
    sign(folder, 'proxy', '/CN=system:kube-proxy'),
    sign(folder, 'kubelet', `/O=system:nodes/CN=system:node:${nodeName}`),
    serviceAccountKey(folder),
  ])
  writeKubeconfig(addresses, 'admin', addresses.server)
  for (const name of ['controller-manager', 'scheduler', 'proxy', 'kubelet'])
    writeKubeconfig(addresses, name, 'https://127.0.0.1:6443')
}

/** A kubeconfig for another user or group, signed by the cluster's authority; returns its path. */
export async function userKubeconfig(addresses: Addresses, user: string, groups: readonly string[] = []) {
  const folder = join(addresses.folder, 'pki')
  const subject = `${groups.map((group) => `/O=${group}`).join('')}/CN=${user}`
  if (!existsSync(join(folder, `${user}.crt`))) await sign(folder, user, subject)
  return writeKubeconfig(addresses, user, addresses.server)
}

async function authority(folder: string, name: string): Promise<void> {
  const usage = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)]
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-days',
    '3650',
    '-subj',
    `/CN=paceline-${name}`,
    ...usage,
    ...files,
  ])
}

async function sign(folder: string, name: string, subject: string, names = '', issuer = 'ca'): Promise<void> {
  const file = (ending: string) => join(folder, `${name}.${ending}`)
  await run('openssl', ['req', ...newKey, '-keyout', file('key'), '-out', file('csr'), '-subj', subject])
  const extensions = [
    'basicConstraints=CA:FALSE',
    'keyUsage=digitalSignature,keyEncipherment',
    'extendedKeyUsage=serverAuth,clientAuth',
    ...(names === '' ? [] : [`subjectAltName=${names}`]),
  ]
  writeFileSync(file('ext'), `${extensions.join('\n')}\n`)
  const by = ['-CA', join(folder, `${issuer}.crt`), '-CAkey', join(folder, `${issuer}.key`)]
  const serial = ['-set_serial', `0x${crypto.randomUUID().replaceAll('-', '').slice(1)}`]
  const args = ['x509', '-req', '-in', file('csr'), ...by, ...serial, '-days', '3650', '-extfile', file('ext')]
  await run('openssl', [...args, '-out', file('crt')])
}

async function serviceAccountKey(folder: string): Promise<void> {
  await run('openssl', ['genrsa', '-out', join(folder, 'sa.key'), '2048'])
  await run('openssl', ['rsa', '-in', join(folder, 'sa.key'), '-pubout', '-out', join(folder, 'sa.pub')])
}

function writeKubeconfig({ folder, id }: Addresses, user: string, server: string): string {
  const encoded = (file: string) => readFileSync(join(folder, 'pki', file)).toString('base64')
  const path = join(folder, `${user}.kubeconfig`)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': id,
    clusters: [{ name: id, cluster: { server, 'certificate-authority-data': encoded('ca.crt') } }],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': encoded(`${user}.crt`), 'client-key-data': encoded(`${user}.key`) },
      },
    ],
    contexts: [{ name: id, context: { cluster: id, user } }],
  }
  writeFileSync(path, stringify(config), { mode: 0o600 })
  return path
}
