/**
 * Requests for experts of unequal popularity through a router and a worker of one process, on the real model: as Paceline takes turns,
 * or as the requests come.
 *
 * First come, first served is the same worker and the same router with their grouping off: the router sends who came first to a free
 * slot; the worker takes the expert of who came first, with all others of that expert that it has been sent, and then the next; adapters
 * leave by LRU and none is loaded ahead.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { planResidence } from '#algorithms/expertResidence.ts'
import { DeploymentName, RequestId, Revision, TenantId, WorkerId } from '#contracts/ids.ts'
import { routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import { delay, keepAlive, systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { createFakeNetwork } from '#test/simulate/fakeBus.ts'
import { createRandom } from '#test/simulate/random.ts'
import { decideTurn, type Turn, type TurnSnapshot } from '../../../gpu-worker/core/expertTurn.ts'
import { noExperts } from '../../../gpu-worker/expertSupplies.ts'
import type { Choice } from '../../../gpu-worker/job.ts'
import { createLlamaRunner } from '../../../gpu-worker/llama/llamaRunner.ts'
import { noMeasurements } from '../../../gpu-worker/measurementStore.ts'
import { createWorker } from '../../../gpu-worker/worker.ts'
import type { ExpertRules } from '../../../gpu-worker/workerExperts.ts'
import type { ResponseSink, RoutedRequest } from '../../../router/request.ts'
import { createRouter, type Router } from '../../../router/router.ts'
import { modelRecord } from '../../../router/testing/fakeWorker.ts'
import { routerConfig } from '../../../router/testing/stage.ts'

export interface Stand {
  readonly modelPath: string
  readonly folder: string
  readonly experts: readonly string[]
  /** So many adapters fit into memory. */
  readonly resident: number
  readonly slots: number
  readonly threads: number
}

export interface Arrival {
  /** Its seed too: each request has one of its own. */
  readonly number: number
  readonly expert: string
  readonly prompt: string
  readonly tokens: number
  /** After the first one. */
  readonly atMs: number
}

export interface Served {
  /** By number. */
  readonly texts: readonly string[]
  /** From a request's arrival to the begin of its turn. */
  readonly waitsMs: readonly number[]
  readonly tokens: number
  readonly seconds: number
  readonly switches: number
  readonly loads: number
}

export type Order = 'turns' | 'arrival'
export const adapterPath = ({ folder }: Stand, expert: string) => join(folder, `${expert}.gguf`)

export async function serveTraffic(stand: Stand, arrivals: readonly Arrival[], order: Order): Promise<Served> {
  await using place = await open(stand, order)
  const texts: string[] = arrivals.map(() => '')
  const startedAt = systemClock.now()
  const arrivedAt: number[] = []
  const answers = arrivals.map(async (arrival) => {
    await delay(systemClock, Math.max(0, startedAt + arrival.atMs - systemClock.now()))
    arrivedAt[arrival.number] = systemClock.now()
    texts[arrival.number] = await ask(place.router, arrival)
  })
  await Promise.all(answers)
  const seconds = (systemClock.now() - startedAt) / 1_000
  const count = await place.counts()
  return {
    texts,
    waitsMs: arrivals.map(({ number }) => (place.beganAt.get(number) ?? Number.NaN) - (arrivedAt[number] ?? 0)),
    tokens: arrivals.reduce((sum, { tokens }) => sum + tokens, 0),
    seconds,
    ...count,
  }
}

/** Each alone, one after the other. */
export async function serveAlone(stand: Stand, arrivals: readonly Arrival[]): Promise<string[]> {
  await using place = await open(stand, 'turns')
  const texts: string[] = []
  for (const arrival of arrivals) texts.push(await ask(place.router, arrival))
  return texts
}

const deployment = DeploymentName.parse('smol')
const reportsMs = 500

async function open(stand: Stand, order: Order) {
  const alive = keepAlive()
  const network = createFakeNetwork({ clock: systemClock, random: createRandom(1) })
  const runner = await createLlamaRunner({
    modelPath: stand.modelPath,
    slots: stand.slots,
    contextTokensMax: 256,
    kvLayout: 'split',
    // The cache of `reproducible: true`: a text does not depend on whoever shares its steps.
    kvCacheType: 'q8_0',
    threads: stand.threads,
    backend: 'auto',
    embeddings: false,
    host: process,
    clock: systemClock,
    log: silentLog,
  })
  const beganAt = new Map<number, number>()
  const metrics = createMetrics(workerMetrics, { processMetrics: false })
  const worker = createWorker({
    bus: network.connect('worker'),
    clock: systemClock,
    runner,
    proposers: { proposers: [], reserve: [], unusable: [] },
    log: silentLog,
    metrics,
    config: configOf(stand),
    experts: await suppliesOf(stand),
    expertRules: rulesOf(order, beganAt),
    hardware: { pid: 1, cpus: stand.threads, metricsUrl: 'http://127.0.0.1:1/metrics' },
    curveStore: noMeasurements,
  })
  const router = createRouter({
    bus: network.connect('router'),
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(routerMetrics, { processMetrics: false }),
    config: routerConfig,
    random: () => 0.5,
  })
  await router.start()
  worker.start()
  const experts = order === 'turns' ? stand.experts.map((name) => ({ name })) : []
  const record = modelRecord({ deployment, experts, queue: { requestsMax: 10_000, bytesMax: 1e9 } })
  await network.connect('operator').put('models', deployment, encode(record))
  await delay(systemClock, reportsMs)
  return {
    router,
    beganAt,
    counts: async () => ({
      switches: await counted(metrics, /^paceline_expert_switches_total.* (\d+)$/gm),
      loads: await counted(metrics, /^paceline_expert_loads_total.*cause="(?:needed|ahead)".* (\d+)$/gm),
    }),
    async [Symbol.asyncDispose]() {
      await worker.stop()
      router.stop()
      await runner[Symbol.asyncDispose]()
      alive.cancel()
    },
  }
}

async function counted(metrics: { text(): Promise<string> }, line: RegExp): Promise<number> {
  return [...(await metrics.text()).matchAll(line)].reduce((sum, [, value]) => sum + Number(value), 0)
}

async function suppliesOf(stand: Stand) {
  const files = await Promise.all(
    stand.experts.map(async (name) => {
      const path = adapterPath(stand, name)
      return { name, path, bytes: (await stat(path)).size }
    }),
  )
  const largest = files.reduce((most, { bytes }) => Math.max(most, bytes), 0)
  return { ...noExperts, files, bytesMax: stand.resident * largest }
}

function configOf({ experts, slots, threads }: Stand): WorkerConfig {
  return WorkerConfig.parse({
    worker: WorkerId.parse('w1'),
    deployment,
    revision: Revision.parse('r1'),
    modelPath: '/opened/elsewhere',
    modelSha256: null,
    engine: { slots, contextTokensMax: 256, prefixCacheMiB: 0, threads },
    experts: experts.map((name) => ({ name, path: '/opened/elsewhere' })),
    kvCacheType: 'auto',
    speculation: { method: 'off' },
    nats: { url: 'nats://stub', user: 'worker' },
    slo: {},
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
}

type Decide = typeof decideTurn

function rulesOf(order: Order, beganAt: Map<number, number>): ExpertRules {
  const rule: Decide = order === 'turns' ? decideTurn : firstComeFirstServed
  const noted: Decide = (snapshot) => {
    const turn = rule(snapshot)
    if (turn.kind === 'admit') for (const id of turn.requests) note(id as Choice)
    return turn
  }
  return order === 'turns' ? { decideTurn: noted } : { decideTurn: noted, planResidence: leastRecentlyUsed }

  /** Said again where the adapter had to be loaded first: the last word counts. Who gave way had begun before. */
  function note({ job, lastTokenAt }: Choice): void {
    if (lastTokenAt === null) beganAt.set(job.request.sampling.seed, systemClock.now())
  }
}

function firstComeFirstServed<Id, Expert>(snapshot: TurnSnapshot<Id, Expert>): Turn<Id, Expert> {
  const { waiting, running, slotsFree } = snapshot
  const [first] = waiting
  if (first === undefined) return { kind: 'nothing-waits' }
  if (running !== undefined && first.expert !== running) return { kind: 'drain' }
  const others = waiting.findIndex(({ expert }) => expert !== first.expert)
  const together = running === undefined || others < 0 ? waiting : waiting.slice(0, others)
  const requests = together.filter(({ expert }) => expert === first.expert).slice(0, slotsFree)
  return { kind: 'admit', expert: first.expert, requests: requests.map(({ id }) => id) }
}

/** Without a look at who waits, the rule is LRU; nothing is loaded ahead. */
const leastRecentlyUsed: typeof planResidence = (snapshot) =>
  planResidence({ ...snapshot, upcoming: [], prefetchMax: 0 })

function ask(router: Router, arrival: Arrival): Promise<string> {
  const answer = Promise.withResolvers<string>()
  const tokens: number[] = []
  const sink: ResponseSink = {
    delta: (_first, choices) => {
      for (const choice of choices) tokens.push(...choice.tokens)
    },
    restart: () => answer.reject(new Error('a request was started again')),
    end: (outcome) => {
      if (outcome.kind === 'completed') answer.resolve(tokens.join(' '))
      else answer.reject(new Error(outcome.kind === 'failed' ? outcome.failure.message : outcome.kind))
    },
  }
  router.submit(requestOf(router, arrival), sink)
  return answer.promise
}

function requestOf(router: Router, { number, expert, prompt, tokens }: Arrival): RoutedRequest {
  const model = router.model(deployment)?.record
  if (model === undefined) throw new Error('the router has not heard of the deployment')
  return {
    id: RequestId.parse(`q${number}`),
    tenant: TenantId.parse('public'),
    weight: 1,
    priority: 0,
    model,
    expert: { kind: 'named', expert },
    works: [{ kind: 'completion', prompt, echo: false }],
    choices: 1,
    sampling: { ...samplingDefaults, seed: number, temperature: 0.8, maxTokens: tokens, ignoreEos: true },
    streaming: true,
    bytes: 100,
    deadlineMs: 3_600_000,
    arrivedAt: systemClock.now(),
  }
}
