/**
 * Paceline as a person installs it: the chart, from this checkout, into a namespace of a real cluster that enforces the restricted
 * Pod Security Standard. What differs from a person's values: images made here, little CPU asked for, a model hub of our own.
 */
import { join } from 'node:path'
import OpenAI from 'openai'
import * as z from 'zod'
import { pathOf, resources } from '../../operator/kubernetes/core/objects.ts'
import { testModel } from '../bench/harness/model.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { type Cluster, waitFor } from './kit/cluster.ts'
import { imageNames, pacelineImages } from './kit/imageSet.ts'
import { once } from './kit/once.ts'
import { addVolumes } from './kit/storage.ts'

export const chart = join(projectFolder, 'charts', 'paceline')
export const example = (name: string): string => join(projectFolder, 'examples', name)
const mirrorPort = 18_080

export interface InstallOptions {
  readonly namespace: string
  /** Merged over the values of the tests, as a second values file. */
  readonly values?: object
  /** Volumes to have ready: one for NATS and one for each model. */
  readonly volumes?: number
}

/** A release called `paceline` in a namespace of its own. */
export interface Paceline {
  readonly cluster: Cluster
  readonly namespace: string
  /** The router's service as the host reaches it. */
  readonly url: string
  kubectl(...args: readonly string[]): Promise<string>
  apply(text: string): Promise<string>
  get(...args: readonly string[]): Promise<unknown>
  client(apiKey?: string): OpenAI
  /** Resolves when a condition of a pair has this status. */
  until(pair: string, condition: string, status?: string, waitMsMax?: number): Promise<void>
  upgrade(values: object): Promise<string>
  /** What a person would look at first: for the words of a test that failed. */
  describe(): Promise<string>
  /** `helm uninstall`, then the namespace: resolves when both are gone. */
  remove(): Promise<void>
}

export async function install(cluster: Cluster, options: InstallOptions): Promise<Paceline> {
  const { namespace, values = {}, volumes = 2 } = options
  await prepare(cluster, volumes)
  await cluster.kubectl('create', 'namespace', namespace)
  await cluster.kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
  try {
    await upgradeRelease(cluster, namespace, [values])
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    throw new Error(`${words}\n${await describeNamespace(cluster, namespace)}`)
  }
  return pacelineIn(cluster, namespace, [values])
}

function upgradeRelease(cluster: Cluster, namespace: string, values: readonly object[]): Promise<string> {
  const wait = ['--wait', '--timeout', '120s']
  // The definitions belong to the whole cluster; releases in several namespaces of the tests hand them on.
  const release = ['paceline', chart, '--namespace', namespace, '--take-ownership', ...wait]
  return cluster.helmWith([testValues(cluster), ...values], release)
}

/** The release that was installed there, with `values` over those of the tests. */
export async function pacelineIn(
  cluster: Cluster,
  namespace: string,
  values: readonly object[] = [],
): Promise<Paceline> {
  const kubectl = (...args: readonly string[]) => cluster.kubectl('-n', namespace, ...args)
  const address = await kubectl('get', 'service', 'paceline-router', '-o', 'jsonpath={.spec.clusterIP}')
  const url = `http://${address}`
  return {
    cluster,
    namespace,
    url,
    kubectl,
    apply: (text) => cluster.apply(text, '-n', namespace),
    get: (...args) => cluster.get('-n', namespace, ...args),
    client: (apiKey = 'none') => new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0, timeout: 120_000 }),
    async until(pair, condition, status = 'True', waitMsMax = 120_000) {
      const path = pathOf(resources.deployments, namespace, pair)
      const explain = () => describeNamespace(cluster, namespace)
      await waitFor({ what: `${pair} to be ${condition}=${status}`, waitMsMax, everyMs: 250, explain }, async () => {
        const { conditions } = Conditions.parse(await cluster.read(path)).status
        return conditions.some(({ type, status: is }) => type === condition && is === status)
      })
    },
    upgrade: (more) => upgradeRelease(cluster, namespace, [...values, more]),
    describe: () => describeNamespace(cluster, namespace),
    async remove() {
      await cluster.helm('uninstall', 'paceline', '--namespace', namespace, '--wait')
      await cluster.kubectl('delete', 'namespace', namespace, '--timeout=120s')
    },
  }
}

const Conditions = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .default({ conditions: [] }),
})

/** What an installation finds: images on the node, a model hub, volumes. */
export async function prepare(cluster: Cluster, volumes: number): Promise<void> {
  await once(cluster.folder, 'images', () => cluster.loadImages(pacelineImages()))
  await once(cluster.folder, 'mirror', () => startMirror(cluster))
  await addVolumes(cluster, volumes)
}

/** The model hub that pods see, and the host that plain http:// may name. */
export const mirrorHost = (cluster: Cluster): string => cluster.addresses.node
export const mirrorUrl = (cluster: Cluster): string => `http://${mirrorHost(cluster)}:${mirrorPort}`

async function startMirror(cluster: Cluster): Promise<void> {
  const model = testModel()
  if (model === null) throw new Error('no model: npm run test:cluster brings one')
  const program = join(import.meta.dirname, 'kit', 'mirror.ts')
  await cluster.startBeside('mirror', process.execPath, [program, mirrorHost(cluster), String(mirrorPort), model])
}

const little = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { memory: '1Gi' } })

export function testValues(cluster: Cluster): object {
  const [natsRepository, natsTag] = imageNames.nats.split(':')
  return {
    image: { registry: 'localhost', tag: 'test', pullPolicy: 'Never' },
    operator: { resources: little('20m', '128Mi') },
    // Requests are also shares: who carries everybody's words is not to wait behind pods that start.
    router: { resources: little('60m', '128Mi'), drain: { delaySeconds: 2, graceSeconds: 60 } },
    worker: { resources: { requests: { cpu: '50m', memory: '128Mi' } }, drainGraceSeconds: 60 },
    nats: { image: { repository: natsRepository, tag: natsTag }, resources: little('100m', '32Mi') },
    modelCache: {
      size: '1Gi',
      huggingFaceEndpoint: mirrorUrl(cluster),
      plainHttpHosts: [mirrorHost(cluster)],
      resources: { requests: { cpu: '20m', memory: '64Mi' } },
    },
  }
}

/** What a person would look at first. */
export async function describeNamespace(cluster: Cluster, namespace: string): Promise<string> {
  const say = async (...args: string[]) => {
    const { stdout, stderr } = await cluster.tryKubectl(['-n', namespace, ...args])
    return `--- kubectl ${args.join(' ')}\n${stdout || stderr}`
  }
  const logs = (part: string) => say('logs', '-l', `app.kubernetes.io/component=${part}`, '--tail', '40', '--prefix')
  const parts = await Promise.all([
    say('get', 'pods,pvc,jobs,pairs', '-o', 'wide'),
    say('get', 'pairs', '-o', 'yaml'),
    say(
      'get',
      'events',
      '--sort-by=.lastTimestamp',
      '-o',
      'custom-columns=O:.involvedObject.name,R:.reason,M:.message',
    ),
    logs('operator'),
    logs('router'),
    logs('nats'),
    say('logs', '-l', 'app.kubernetes.io/name=paceline-worker', '--tail', '15', '--prefix'),
  ])
  return parts.join('\n')
}
