/** A router on a fake network and clock, with a model published and workers to hand: what the router's own tests start from. */
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { limits } from '#contracts/limits.ts'
import { RequestId, TenantId } from '#contracts/ids.ts'
import type { ChoiceDelta } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { RouterConfig } from '#contracts/routerConfig.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import type { Bus } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { createMetrics } from '#runtime/metrics.ts'
import { routerMetrics } from '#contracts/metrics.ts'
import type { RouterMetrics } from '../metrics.ts'
import type { RequestOutcome, ResponseSink, RoutedRequest } from '../request.ts'
import { createRouter, type Router } from '../router.ts'
import type { RiskParts } from '../stagedRoutes.ts'
import { FakeWorker, type FakeWorkerOptions, modelRecord } from './fakeWorker.ts'

export interface Stage {
  readonly clock: Clock
  readonly network: FakeNetwork
  readonly router: Router
  readonly metrics: RouterMetrics
  readonly operator: Bus
  readonly config: RouterConfig
  publish(record: ModelRecord): Promise<void>
  worker(options: Partial<FakeWorkerOptions> & { name: string }): FakeWorker
}

export const routerConfig = RouterConfig.parse({
  router: 'router-test',
  port: 0,
  nats: { url: 'nats://nowhere', user: 'router' },
})

export async function setStage(
  clock: Clock,
  config: RouterConfig = routerConfig,
  parts: RiskParts = {},
): Promise<Stage> {
  const network = createFakeNetwork({ clock, random: createRandom(1) })
  const operator = network.connect('operator')
  const metrics = createMetrics(routerMetrics, { processMetrics: false })
  const random = createRandom(2)
  const options = {
    bus: network.connect('router'),
    clock,
    log: silentLog,
    metrics,
    config,
    random: () => random.next(),
    ...parts,
  }
  const router = createRouter(options)
  await router.start()
  const publish = (record: ModelRecord) => operator.put('models', record.deployment, encode(record))
  return {
    clock,
    network,
    router,
    metrics,
    operator,
    config,
    publish,
    worker: (given) => new FakeWorker({ bus: network.connect(given.name), clock, ...given }),
  }
}

export interface FakeStage extends Stage {
  readonly clock: FakeClock
}

/** With a model published and known, and time for first reports. */
export async function fakeStage(record: ModelRecord = modelRecord()): Promise<FakeStage> {
  const clock = createFakeClock()
  const [stage] = await Promise.all([setStage(clock), clock.advance(100)])
  await Promise.all([stage.publish(record), clock.advance(100)])
  return { ...stage, clock }
}

/** Lets time pass in which every worker reports; more than a silence that matters, so that nothing is new any more. */
export const settled = (stage: FakeStage) => stage.clock.advance(limits.worker.reportIntervalMs * 2)

/** Takes everything a request is given, and checks that it ends once and is given nothing after that. */
export class RecordingSink implements ResponseSink {
  readonly texts = new Map<number, string>()
  readonly outcomes: RequestOutcome[] = []
  readonly restarts: number[] = []

  get text(): string {
    return [...this.texts]
      .sort(([a], [b]) => a - b)
      .map(([, text]) => text)
      .join('|')
  }

  /** `completed`, `cancelled`, or the code of the failure. */
  get ended(): string {
    return this.outcomes.map((each) => (each.kind === 'failed' ? each.failure.code : each.kind)).join(',')
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    if (this.outcomes.length > 0) throw new Error('a delta after the end')
    for (const { index, text } of choices)
      this.texts.set(firstChoice + index, (this.texts.get(firstChoice + index) ?? '') + text)
  }

  restart(firstChoice: number, choices: number): void {
    this.restarts.push(firstChoice)
    for (let i = firstChoice; i < firstChoice + choices; i++) this.texts.delete(i)
  }

  end(outcome: RequestOutcome): void {
    this.outcomes.push(outcome)
  }
}

let requests = 0

export function request(stage: Stage, changes: Partial<RoutedRequest> & { tokens?: number } = {}): RoutedRequest {
  requests += 1
  const { tokens, ...rest } = changes
  return {
    id: RequestId.parse(`q${requests}`),
    tenant: TenantId.parse('public'),
    weight: 1,
    priority: 0,
    model: stage.router.model('smol')?.record ?? modelRecord(),
    works: [{ kind: 'chat', messages: [{ role: 'user', content: 'hello' }] }],
    choices: 1,
    sampling: { ...samplingDefaults, seed: 7, maxTokens: tokens ?? null },
    streaming: true,
    bytes: 100,
    deadlineMs: 10_000,
    arrivedAt: stage.clock.now(),
    ...rest,
  }
}

export function ask(stage: FakeStage, changes: Partial<RoutedRequest> & { tokens?: number } = {}) {
  const sink = new RecordingSink()
  const handle = stage.router.submit(request(stage, changes), sink)
  return { sink, handle }
}

export const nothingLeft = (stage: FakeStage) => ({ active: stage.router.active, attempts: stage.router.attempts })

/** The value of a metric, by the start of its line. */
export async function metricValue(stage: Stage, line: string): Promise<number> {
  stage.router.observe()
  const text = await stage.metrics.text()
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(line))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  )
}
