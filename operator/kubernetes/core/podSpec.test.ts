import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeploymentName, Revision } from '#contracts/ids.ts'
import { ModelCacheConfig, WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { ModelDeploymentSpec, PodTemplate } from '#contracts/resources/modelDeployment.ts'
import { WorkerConfig, workerConfigVariable } from '#contracts/workerConfig.ts'
import { filesOf } from '../../core/observed.ts'
import type { Pod } from './objects.ts'
import { filePathOf } from './folders.ts'
import { workerName } from './names.ts'
import { imageOf, type PodPlace, workerPod } from './podSpec.ts'

const sha256 = 'a'.repeat(64)
const place: PodPlace = {
  config: WorkerPodConfig.parse({
    image: 'worker:1',
    cudaImage: 'worker-cuda:1',
    natsPasswordSecret: { name: 'nats', key: 'worker' },
  }),
  modelCache: ModelCacheConfig.parse({}),
  nats: { url: 'tls://nats:4222', user: 'worker', authority: 'PEM $(HOME)' },
  drainGraceMs: 32_000,
  logLevel: 'info',
}
const owner = {
  apiVersion: 'paceline.dev/v1alpha1',
  kind: 'ModelDeployment',
  name: 'smol',
  uid: 'u1',
  controller: true,
}

function podOf(fields: Record<string, unknown> = {}, from: PodPlace = place): Pod {
  const target = { source: 'https://models.example/a.gguf', sha256 }
  const spec = ModelDeploymentSpec.parse({ target, ...fields })
  const deployment = DeploymentName.parse('smol')
  const revision = Revision.parse('0123456789')
  const worker = workerName(deployment, revision, () => 0.5)
  const image = imageOf(spec, from.config)
  const modelPath = filePathOf(sha256)
  return workerPod(
    {
      worker,
      deployment,
      revision,
      spec,
      files: filesOf(spec),
      modelPath,
      draftPath: null,
      tablePath: null,
      acceptancePath: null,
      experts: [],
      gatePath: null,
      image,
      owner,
    },
    from,
  )
}

describe('a worker pod', () => {
  test('is restricted, holds no token, restarts nothing and has time to drain', () => {
    const { spec } = podOf()
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      shareProcessNamespace: true,
      terminationGracePeriodSeconds: 42,
      securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    })
    expect(spec?.containers).toHaveLength(1)
    expect(spec?.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })

  test('is told what a worker is told, and the kubelet replaces its address in it and nothing else', () => {
    const fault = { kind: 'slow', probability: 0.1 }
    const pod = podOf({ engine: { kind: 'simulated', simulated: { faults: [fault] } } })
    const variables = pod.spec?.containers[0]?.env ?? []
    const text = variables.find(({ name }) => name === workerConfigVariable)?.value ?? ''
    const expanded = text.replaceAll('$(PACELINE_POD_IP)', '10.0.0.7')
    const config = WorkerConfig.parse(JSON.parse(expanded))
    expect(config).toMatchObject({
      worker: pod.metadata?.name,
      deployment: 'smol',
      metricsHost: '10.0.0.7',
      metricsPort: 9_400,
    })
    expect(variables.find(({ name }) => name === 'PACELINE_NATS_AUTHORITY')?.value).toBe('PEM $$(HOME)')
    expect(JSON.stringify(variables)).not.toContain('secret-word')
  })

  test('mounts its model read-only from the volume of its content, or fetches it itself where there are no volumes', () => {
    const [claimed, own] = [podOf(), podOf({}, { ...place, modelCache: ModelCacheConfig.parse({ kind: 'ephemeral' }) })]
    expect(claimed.spec?.volumes).toContainEqual({
      name: 'model-aaaaaaaaaaaaaaaa',
      persistentVolumeClaim: { claimName: 'model-aaaaaaaaaaaaaaaa' },
    })
    expect(claimed.spec?.containers[0]?.volumeMounts).toContainEqual({
      name: 'model-aaaaaaaaaaaaaaaa',
      mountPath: '/models/model-aaaaaaaaaaaaaaaa',
      readOnly: true,
    })
    expect(claimed.spec?.initContainers).toBeUndefined()
    expect(own.spec?.initContainers?.[0]).toMatchObject({ command: ['node', 'operator/fetch/main.ts'] })
    expect(own.spec?.volumes?.[1]).toMatchObject({ emptyDir: { sizeLimit: '20Gi' } })
  })

  test('asks for its GPU in the limits and takes the image that can use one', () => {
    const pod = podOf({ resources: { limits: { 'nvidia.com/gpu': 1, cpu: '250m' } } })
    expect(pod.spec?.containers[0]).toMatchObject({
      image: 'worker-cuda:1',
      resources: { limits: { 'nvidia.com/gpu': '1', cpu: '250m' }, requests: { memory: '1Gi' } },
    })
    expect(pod.spec?.containers[0]?.resources?.requests).not.toHaveProperty('cpu')
  })

  test("takes labels and places from its pair, never the operator's own labels", () => {
    const podTemplate = {
      metadata: { labels: { team: 'search' } },
      spec: {
        nodeSelector: { gpu: 'l4' },
        runtimeClassName: 'nvidia',
        tolerations: [{ key: 'gpu', operator: 'Exists' }],
      },
    }
    const pod = podOf({ podTemplate })
    expect(pod.metadata?.labels).toMatchObject({ team: 'search', 'paceline.dev/deployment': 'smol' })
    expect(pod.spec).toMatchObject({
      nodeSelector: { gpu: 'l4' },
      runtimeClassName: 'nvidia',
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
    })
  })

  test('has a name of its own that is a label value and a host name', () => {
    const revision = Revision.parse('0123456789')
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
        fc.double({ min: 0, max: 0.999_999, noNaN: true }),
        (name, chance) => {
          expect(workerName(name, revision, () => chance)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
        },
      ),
    )
  })
})

/** What would give a pod power over its node, its neighbours or other people's secrets, by path. */
const forbidden: readonly (readonly [string, unknown])[] = [
  ['spec.hostNetwork', true],
  ['spec.hostPID', true],
  ['spec.hostIPC', true],
  ['spec.hostUsers', true],
  ['spec.shareProcessNamespace', true],
  ['spec.serviceAccountName', 'admin'],
  ['spec.serviceAccount', 'admin'],
  ['spec.automountServiceAccountToken', true],
  ['spec.securityContext', { runAsUser: 0 }],
  ['spec.containers', [{ name: 'worker', image: 'evil', securityContext: { privileged: true } }]],
  ['spec.initContainers', [{ name: 'x', image: 'evil' }]],
  ['spec.ephemeralContainers', [{ name: 'x', image: 'evil' }]],
  ['spec.volumes', [{ name: 'host', hostPath: { path: '/' } }]],
  ['spec.imagePullSecrets', [{ name: 'other' }]],
  ['spec.nodeName', 'control-plane'],
  ['spec.priorityClassName', 'system-node-critical'],
  ['spec.dnsConfig', { nameservers: ['6.6.6.6'] }],
  ['spec.hostAliases', [{ ip: '6.6.6.6', hostnames: ['nats'] }]],
  ['spec.os', { name: 'windows' }],
  ['spec.resourceClaims', [{ name: 'x' }]],
  ['metadata.annotations', { 'container.apparmor.security.beta.kubernetes.io/worker': 'unconfined' }],
  ['metadata.namespace', 'kube-system'],
  ['metadata.ownerReferences', []],
  ['metadata.finalizers', ['x/y']],
  ['metadata.labels', { 'paceline.dev/deployment': 'other' }],
]

describe('a pod template', () => {
  test.each(forbidden)('with %s is refused with a message', (path, value) => {
    const [part = '', field = ''] = path.split('.')
    const result = PodTemplate.safeParse({ [part]: { [field]: value } })
    expect(result.success).toBe(false)
    expect(result.error?.issues[0]?.message).not.toBe('')
  })

  test('that the schema takes never gives a pod power, whatever is in it', () => {
    const words = fc.constantFrom(
      'hostNetwork',
      'privileged',
      'hostPath',
      'capabilities',
      'serviceAccountName',
      'runAsUser',
      'x',
    )
    const opaque = fc.dictionary(words, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
    const template = fc.record({
      spec: fc.record({ affinity: opaque, topologySpreadConstraints: fc.array(opaque, { maxLength: 2 }) }),
    })
    const plain = podOf()
    fc.assert(
      fc.property(template, (podTemplate) => {
        const {
          affinity: _a,
          topologySpreadConstraints: _t,
          ...rest
        } = podOf({ podTemplate }).spec ?? { containers: [] }
        const { topologySpreadConstraints: _p, ...expected } = plain.spec ?? { containers: [] }
        expect(rest).toEqual(expected)
      }),
    )
  })
})
