/**
 * Storage without a provisioner: the default class `local`, and volumes that exist before anybody asks for them, each one a folder
 * of the cluster.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Cluster } from './cluster.ts'

const className = 'local'

const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: className, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
}

/** Volumes for claims to come. A volume whose claim was deleted is not used again. */
export async function addVolumes(cluster: Cluster, count: number): Promise<void> {
  const made = Array.from({ length: count }, () => volume(cluster, crypto.randomUUID().slice(0, 8)))
  await cluster.apply([storageClass, ...made].map((object) => stringify(object)).join('---\n'))
}

function volume({ folder, addresses }: Cluster, id: string): object {
  const path = join(folder, 'volumes', id)
  mkdirSync(path, { recursive: true })
  // The file system group of a pod owns it while it is mounted.
  chmodSync(path, 0o770)
  const match = { key: 'kubernetes.io/hostname', operator: 'In', values: [addresses.nodeName] }
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `local-${id}` },
    spec: {
      capacity: { storage: '64Gi' },
      accessModes: ['ReadWriteOnce', 'ReadWriteMany'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: className,
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [match] }] } },
    },
  }
}
