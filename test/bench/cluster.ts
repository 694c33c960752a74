/**
 * A thousand pairs on one API server: how fast they become ready, what the operator costs and adds, and what it does when nothing
 * happens.
 *
 *   npm run bench -- cluster [--pairs 1000] [--perSecond 10] [--idleSeconds 300] [--nodeFlags="--cpu-prof …"] [--quick]
 *
 * `--perSecond 0` creates all pairs at once: that shows the operator's own pace, and its delay is then a queue's.
 *
 * Pods are played by KWOK, their workers by one process over NATS. The operator is a process of this checkout on a real
 * control plane (etcd, API server, controllers, scheduler), by a service account and with the flags of its image; so all of
 * them share this machine. Linux, root.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { type DeploymentObject, pathOf, resources } from '../../operator/kubernetes/core/objects.ts'
import type { ApiRequest } from '../../operator/kubernetes/transport.ts'
import { createReflector } from '../../operator/kubernetes/reflector.ts'
import { startNatsServer } from '../integration/support/natsServer.ts'
import { type Cluster, up, waitFor } from '../cluster/kit/cluster.ts'
import { type AuditEntry, writes } from '../cluster/kit/audit.ts'
import { addFakeNodes, onFakeNodes } from '../cluster/kit/fakeNodes.ts'
import { type Account, startOperatorProcess } from '../cluster/operatorProcess.ts'
import { clientFor } from '../kubernetes/fakeKubelet.ts'
import { startFleet } from '../kubernetes/fleet.ts'
import { projectFolder } from './harness/machine.ts'
import { readOptions } from './harness/options.ts'
import { cpuMsOf } from './harness/processes.ts'
import { figure, print, Report } from './harness/report.ts'
import { quantile } from './harness/statistics.ts'

const namespace = 'many'
const createdAtOnce = 16
const account = 'bench-operator'
const operatorUser = `system:serviceaccount:${namespace}:${account}`
const options = readOptions({ rounds: 1, quickRounds: 1 })
const pairs = options.value('pairs', options.quick ? 100 : 1_000)
const perSecond = options.value('perSecond', 10)
const idleSeconds = options.value('idleSeconds', options.quick ? 20 : 300)

/** In milliseconds of this process's clock. */
interface Times {
  created: number
  podMade: number
  registered: number
  ready: number
}

const Status = z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })) })
const report = new Report('cluster', `Operator: ${pairs} pairs on one cluster`)
const times = new Map<string, Times>()
const ownDelay = monitorEventLoopDelay({ resolution: 10 })
const timesOf = (pair: string): Times => {
  const known = times.get(pair) ?? { created: 0, podMade: 0, registered: 0, ready: 0 }
  times.set(pair, known)
  return known
}

await using cluster = await up({ extent: 'control-plane' })
await prepare(cluster)
const nats = await startNatsServer()
const bus = await nats.connect('worker')
const operator = await startOperatorProcess({
  access: await accountIn(cluster),
  namespace,
  nats,
  identity: 'bench',
  leaseMs: 15_000,
  nodeFlags: options
    .text('nodeFlags', '')
    .split(' ')
    .filter((flag) => flag !== ''),
})
await untilLeading()
const fleet = await startFleet(
  { kubeconfig: cluster.kubeconfig, namespace, bus },
  {
    made: (pair) => (timesOf(pair).podMade ||= performance.now()),
    registered: (pair) => (timesOf(pair).registered ||= performance.now()),
  },
)
const { client, transport } = clientFor(cluster.kubeconfig, namespace)
const watch = createReflector<DeploymentObject>({
  client,
  resource: resources.deployments,
  clock: systemClock,
  random: Math.random,
  log: silentLog,
  onChange: (name, { now }) => {
    if (isReady(now?.status)) timesOf(name).ready ||= performance.now()
  },
})
await watch.start()
try {
  await untilReady()
  await idle()
} finally {
  watch.stop()
  transport.close()
  fleet.stop()
  await operator.end()
  await bus.close()
  await nats.stop()
}
process.exitCode = report.finish({ quick: options.quick })

function isReady(status: unknown): boolean {
  const conditions = Status.safeParse(status).data?.conditions ?? []
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True')
}

async function prepare(on: Cluster): Promise<void> {
  await on.kubectl('apply', '--server-side', '-f', join(projectFolder, 'charts', 'paceline', 'files', 'crds'))
  await on.kubectl('wait', '--for=condition=Established', 'crd', '--all')
  await on.kubectl('create', 'namespace', namespace)
  await addFakeNodes(on, Math.ceil(pairs / 100) + 1)
}

async function accountIn(on: Cluster): Promise<Account> {
  const inNamespace = ['-n', namespace]
  await on.kubectl(...inNamespace, 'create', 'serviceaccount', account)
  const bound = ['--clusterrole=cluster-admin', `--serviceaccount=${namespace}:${account}`]
  await on.kubectl(...inNamespace, 'create', 'rolebinding', account, ...bound)
  const token = (await on.kubectl(...inNamespace, 'create', 'token', account, '--duration=2h')).trim()
  return { token, authorityFile: join(on.folder, 'pki', 'ca.crt'), server: new URL(on.addresses.server) }
}

/** What its start costs is another measurement. */
async function untilLeading(): Promise<void> {
  const lease = ['-n', namespace, 'get', 'lease', 'paceline-operator', '-o', 'jsonpath={.spec.holderIdentity}']
  await waitFor({ what: 'the operator to lead', waitMsMax: 30_000, explain: operator.words }, async () => {
    return (await cluster.kubectl(...lease)).includes('bench')
  })
  await sleep(2_000)
}

async function untilReady(): Promise<void> {
  const operatorPid = operator.child.pid ?? 0
  const cpuBefore = cpuMsOf(operatorPid)
  const startedAt = performance.now()
  const since = new Date()
  ownDelay.enable()
  const names = Array.from({ length: pairs }, (_, index) => `pair-${index}`)
  await Promise.all(Array.from({ length: createdAtOnce }, () => createFrom(names, startedAt)))
  print(`${pairs} pairs created in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
  const done = () => [...times.values()].filter(({ ready }) => ready > 0).length
  const explain = () => `${done()} ready, ${fleet.size} pods\n${operator.words().slice(-2_000)}`
  await waitFor({ what: 'all pairs to be ready', waitMsMax: 600_000, everyMs: 50, explain }, () =>
    Promise.resolve(done() === pairs),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  print(`all ready after ${seconds.toFixed(1)} s; idle from here on`)
  const cpuMs = cpuMsOf(operatorPid) - cpuBefore
  const all = [...times.values()]
  const made = all.map(({ created, podMade }) => podMade - created)
  const told = all.map(({ registered, ready }) => ready - registered)
  const added = all.map((_, index) => (made[index] ?? 0) + (told[index] ?? 0))
  report.table(
    'Milliseconds the operator adds (this process watches with it, and was late by as much as the last line)',
    ['', 'p50', 'p90', 'p99', 'most'],
    [
      ['pair made → pod made', ...figures(made)],
      ['worker registered → pair Ready', ...figures(told)],
      ['both', ...figures(added)],
      ['this process', ...[50, 90, 99, 100].map((share) => figure(ownDelay.percentile(share) / 1e6))],
    ],
  )
  report.table('Requests until all are ready', ['', 'requests', 'per pair'], counted(asked(since)))
  report.add('seconds', seconds)
  report.require({ what: 'pairs to Ready', measured: pairs / seconds, bound: { atLeast: 8 }, unit: '/s' })
  report.require({ what: 'operator CPU per pair', measured: cpuMs / pairs, bound: { atMost: 25 }, unit: 'ms' })
  report.require({
    what: 'delay added by the operator, p99',
    measured: quantile(added, 0.99),
    bound: { atMost: 2_000 },
    unit: 'ms',
  })
  report.require({ what: 'operator memory, peak', measured: peakMiB(operatorPid), bound: { atMost: 250 }, unit: 'MiB' })
}

function figures(values: number[]): string[] {
  return [0.5, 0.9, 0.99, 1].map((share) => figure(quantile(values, share)))
}

/** What it asked the API for, by verb and kind, since then. */
function asked(since: Date) {
  return cluster.audit().filter(({ user, receivedAt }) => user === operatorUser && receivedAt > since)
}

function counted(entries: readonly AuditEntry[]): string[][] {
  const kinds = Map.groupBy(entries, ({ verb, resource }) => `${verb} ${resource}`)
  return [...kinds]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([kind, { length }]) => [kind, String(length), figure(length / pairs)])
}

async function createFrom(names: string[], startedAt: number): Promise<void> {
  const engine = { kind: 'simulated', slots: 2, contextTokensMax: 512 }
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    const spec = { engine, replicas: 1, podTemplate: { spec: onFakeNodes } }
    const body = { apiVersion: 'paceline.dev/v1alpha1', kind: 'ModelDeployment', metadata: { name }, spec }
    const due = perSecond === 0 ? 0 : startedAt + ((pairs - names.length) * 1_000) / perSecond - performance.now()
    if (due > 0) await sleep(due)
    timesOf(name).created = performance.now()
    const path = pathOf(resources.deployments, namespace)
    const request: ApiRequest = {
      method: 'POST',
      path,
      body: JSON.stringify(body),
      contentType: 'application/json',
      timeoutMs: 30_000,
    }
    const { status } = await transport.send(request)
    if (status !== 201) throw new Error(`pair ${name} was not created: ${status}`)
  }
}

async function idle(): Promise<void> {
  // What the last changes still bring about.
  await sleep(10_000)
  const cpuBefore = cpuMsOf(operator.child.pid ?? 0)
  const since = new Date()
  await sleep(idleSeconds * 1_000)
  const entries = asked(since)
  const written = entries.filter(({ verb, resource }) => writes.includes(verb) && resource !== 'leases')
  report.table(`Requests in ${idleSeconds} idle seconds`, ['', 'requests', 'per pair'], counted(entries))
  report.add('idleCpuShare', (cpuMsOf(operator.child.pid ?? 0) - cpuBefore) / idleSeconds / 1_000)
  report.require({
    what: `writes in ${idleSeconds} idle seconds (lease apart)`,
    measured: written.length,
    bound: { atMost: 0 },
    unit: '',
  })
  report.require({
    what: 'requests to the API when idle',
    measured: entries.length / idleSeconds,
    bound: { atMost: 1 },
    unit: '/s',
  })
}

function peakMiB(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024
}
