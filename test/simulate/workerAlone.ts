/**
 * One worker with the simulated engine on a fake clock, and nobody else: for measurements of the engine loop that need neither a
 * router nor a network. It is asked over its inbox and listened to at its outbox, like a real one.
 */
import type { CostCurveMessage } from '#contracts/messages.ts'
import { DeploymentName, DispatchId, RequestId, Revision, RouterId, TenantId, WorkerId } from '#contracts/ids.ts'
import { type Dispatch, type Outcome, StepFrame, type Usage } from '#contracts/messages.ts'
import { split } from '#contracts/parts.ts'
import { SimulatedSettings, type Speculation } from '#contracts/resources/modelDeployment.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { subjects } from '#contracts/subjects.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { silentLog } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { noMeasurements } from '../../gpu-worker/measurementStore.ts'
import type { BatchSpan } from '../../gpu-worker/modelRunner.ts'
import { createSimulatedProposer } from '../../gpu-worker/simulated/proposer.ts'
import { createSimulatedRunner } from '../../gpu-worker/simulated/simulatedRunner.ts'
import { createWorker, type Worker, type WorkerOptions } from '../../gpu-worker/worker.ts'
import { createFakeClock, type FakeClock } from './fakeClock.ts'
import { workerMetricsShared } from './sharedMetrics.ts'

export interface WorkerAloneOptions {
  readonly slots: number
  readonly contextTokensMax?: number
  readonly kvLayout?: 'split' | 'unified'
  readonly curve: CostCurveMessage
  readonly simulated?: Partial<SimulatedSettings>
  readonly speculation: Partial<Speculation>
  readonly slo?: Partial<WorkerConfig['slo']>
  /** In place of the one that `speculation` names. */
  readonly createController?: WorkerOptions['createController']
  /** Around the simulated draft: what a controller of another make would let through. */
  readonly wrapProposer?: (proposer: Proposer) => Proposer
  readonly onEnded?: (ended: Ended) => void
}

export interface Ended {
  readonly id: DispatchId
  readonly usage: Usage
}

const worker = WorkerId.parse('alone-1')
const router = RouterId.parse('router-1')

export class WorkerAlone {
  readonly clock: FakeClock = createFakeClock()
  readonly worker: Worker
  /** Tokens that sequences have gained, prompts not counted, and rows computed for them. */
  gained = 0
  rows = 0
  steps = 0
  readonly #positions = new Map<number, number>()
  #deliver: ((payload: Uint8Array, subject: string) => void) | null = null
  #dispatches = 0
  readonly #onEnded: (ended: Ended) => void

  constructor(options: WorkerAloneOptions) {
    this.#onEnded = options.onEnded ?? (() => undefined)
    const clock = this.clock.process('worker')
    const config = configOf(options)
    const { engine } = config
    const simulated = SimulatedSettings.parse(engine.simulated ?? {})
    const draft = createSimulatedProposer({ ...simulated, clock })
    const runner = createSimulatedRunner({ ...simulated, ...engine, clock })
    const run = runner.decode.bind(runner)
    runner.decode = (spans) => {
      this.#count(spans)
      return run(spans)
    }
    this.worker = createWorker({
      bus: this.#bus(),
      clock,
      runner,
      proposers: { proposers: [options.wrapProposer?.(draft) ?? draft], reserve: [], unusable: [] },
      log: silentLog,
      metrics: workerMetricsShared(),
      config,
      ...(options.createController === undefined ? {} : { createController: options.createController }),
      hardware: { pid: 1, cpus: 1, metricsUrl: 'http://fake' },
      curveStore: {
        ...noMeasurements,
        read: (kind) => Promise.resolve(kind === 'curve' ? { curve: options.curve, isQuiet: true } : null),
      },
    })
    this.worker.start()
  }

  /** Asks for `tokens` greedy tokens behind a prompt of its own. */
  send(request: { promptTokens: number; tokens: number }): DispatchId {
    const number = ++this.#dispatches
    const id = DispatchId.parse(`dispatch-${number}`)
    const prompt = Array.from({ length: request.promptTokens }, (_, i) => 256 + ((i * 7 + number * 13) % 100))
    const dispatch: Dispatch = {
      id,
      requestId: RequestId.parse(`request-${number}`),
      router,
      tenant: TenantId.parse('alpha'),
      priority: 0,
      deadlineMs: 3_600_000,
      choices: 1,
      deltaIntervalMs: 60_000,
      work: { kind: 'completion', prompt, echo: false },
      sampling: { ...samplingDefaults, seed: number, temperature: 0, maxTokens: request.tokens, ignoreEos: true },
    }
    for (const payload of split(id, encode(dispatch))) this.#deliver?.(payload, subjects.dispatch(worker))
    return id
  }

  /** Runs until so many more steps were computed. */
  async runSteps(steps: number): Promise<{ tokens: number; ms: number }> {
    const start = { steps: this.steps, gained: this.gained, now: this.clock.now() }
    await this.clock.runUntil(() => this.steps >= start.steps + steps, 3_600_000)
    return { tokens: this.gained - start.gained, ms: this.clock.now() - start.now }
  }

  /** Lets what runs be cancelled, and ends. */
  async stop(): Promise<void> {
    const stopping = this.worker.stop()
    await this.clock.advance(10_000)
    await stopping
  }

  #count(spans: readonly BatchSpan[]): void {
    this.steps += 1
    for (const { slot, position, logitsForLast } of spans) {
      this.gained += Math.max(0, position - (this.#positions.get(slot) ?? position))
      this.#positions.set(slot, position)
      this.rows += logitsForLast
    }
  }

  #bus(): Bus {
    const nothing = { unsubscribe: () => undefined }
    return {
      state: 'connected',
      publish: (subject, payload) => {
        if (subject === subjects.stream(router)) this.#read(payload)
      },
      subscribe: (_, handler) => {
        this.#deliver = handler
        return nothing
      },
      onState: () => nothing,
      watch: () => Promise.resolve(nothing),
      put: () => Promise.resolve(),
      remove: () => Promise.resolve(),
      flush: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }
  }

  #read(payload: Uint8Array): void {
    for (const event of decode(StepFrame, payload).events)
      if (event.kind === 'final') this.#onEnded({ id: event.id, usage: usageOf(event.outcome) })
      else if (event.kind === 'refused') throw new Error(`${event.id} was refused: ${event.failure.message}`)
  }
}

function usageOf(outcome: Outcome): Usage {
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  return outcome.usage
}

function configOf({ slots, curve, kvLayout = 'split', ...options }: WorkerAloneOptions): WorkerConfig {
  const { rows, contexts, ms, promptTokensPerSecond } = curve
  return WorkerConfig.parse({
    worker,
    deployment: DeploymentName.parse('alone'),
    revision: Revision.parse('r1'),
    modelPath: null,
    modelSha256: null,
    engine: {
      kind: 'simulated',
      slots,
      kvLayout,
      contextTokensMax: options.contextTokensMax ?? 8_192,
      simulated: { draftTokens: 16, costCurve: { rows, contexts, ms }, promptTokensPerSecond, ...options.simulated },
    },
    kvCacheType: 'auto',
    speculation: options.speculation,
    slo: { ttftMs: 1_000, tpotMs: 100, ...options.slo },
    nats: { url: 'nats://fake', user: 'worker' },
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
}
