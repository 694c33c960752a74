/**
 * A day of a worker in a few minutes of fake time: requests that arrive eight times as fast in every other phase, drafts that are accepted
 * now at 0.9 and now at 0.5, in another rhythm. What counts is how many requests were served within their SLO.
 *
 * Requests wait for a slot in order of arrival and are given up where they would be too late anyway, as a router does.
 */
import type { Usage } from '#contracts/messages.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { bestLength, expectedTokens } from '../../gpu-worker/core/speculation/expectedLength.ts'
import { predictShapeMs } from '../../gpu-worker/core/speculation/shapes.ts'
import { curveOf, curves } from './curves.ts'
import { createOracle } from './oracleController.ts'
import { createRandom } from './random.ts'
import { WorkerAlone } from './workerAlone.ts'

/** A fixed length, a static table from batch size to length (made for acceptance 0.7), ours, or one that knows everything. */
export type TraceChoice = number | 'table' | 'adaptive' | 'oracle'

/** Why a request was not served well. */
export const losses = ['given up', 'late first token', 'late tokens'] as const
export type Loss = (typeof losses)[number]

export interface TraceOptions {
  readonly choice: TraceChoice
  /** Who runs at once (`spec.slo.admission`). */
  readonly admission: WorkerConfig['slo']['admission']
  readonly seed: number
  /** Requests per second in the slow phases; eight times as many in the others. */
  readonly slowPerSecond: number
  readonly phases: number
}

export interface TraceResult {
  /** Requests that were not served well, by cause and by the phase in which they came (`busy, 0.5`). */
  readonly lost: ReadonlyMap<string, number>
  readonly lostBy: Readonly<Record<Loss, number>>
  /** Requests per second that met both limits. */
  readonly goodput: number
  readonly goodShare: number
  readonly tpotP99: number
  readonly ttftP99: number
  readonly tokensPerSecond: number
}

const curve = curves.billionQ8
const slots = 16
const phaseMs = 30_000
const reportMs = 200
const acceptancePhases = [
  { forMs: 45_000, acceptance: 0.9 },
  { forMs: 45_000, acceptance: 0.5 },
]
const draftStepShare = 0.02
const promptTokens = 16
/** Five times and twice the medians of an unloaded worker without speculation. */
const [stepMs = 0] = curve.ms[0] ?? []
export const slo = { ttftMs: 5 * (stepMs + (1_000 * promptTokens) / curve.promptTokensPerSecond), tpotMs: 2 * stepMs }

interface Waiting {
  readonly arrivedAt: number
  readonly tokens: number
}

interface Served {
  readonly arrivedAt: number
  readonly ttftMs: number
  readonly tpotMs: number
}

export async function runTrace(options: TraceOptions): Promise<TraceResult> {
  const trace = new Trace(options)
  await trace.run()
  return trace.result()
}

class Trace {
  readonly #options: TraceOptions
  readonly #alone: WorkerAlone
  readonly #waiting: Waiting[] = []
  readonly #running = new Map<string, { arrivedAt: number; heldMs: number }>()
  readonly #served: Served[] = []
  readonly #arrivals: Waiting[]
  readonly #givenUp: Waiting[] = []
  #startedAt = 0
  #ranMs = 0

  constructor(options: TraceOptions) {
    this.#options = options
    const { choice, seed } = options
    const isFixed = choice !== 'adaptive'
    const length = typeof choice === 'number' ? choice : 8
    const acceptance = () => acceptanceAt(this.#alone.clock.now() - this.#startedAt)
    this.#alone = new WorkerAlone({
      slots,
      curve,
      slo: { ...slo, admission: options.admission },
      simulated: { acceptancePhases, draftStepShare, seed },
      speculation: {
        method: length === 0 ? 'off' : 'auto',
        draftTokensMax: Math.max(1, length),
        controller: isFixed ? 'fixed' : 'goodput',
      },
      ...(choice === 'table' ? { wrapProposer: byTable } : {}),
      ...(choice === 'oracle'
        ? { createController: (_, costs) => createOracle({ ...costs, acceptance, draftStepShare }) }
        : {}),
      onEnded: ({ id, usage }) => this.#ended(id, usage),
    })
    this.#arrivals = arrivalsOf(options)
  }

  async run(): Promise<void> {
    const { clock } = this.#alone
    const startedAt = clock.now()
    this.#startedAt = startedAt
    for (const arrival of this.#arrivals)
      clock.after(arrival.arrivedAt, () => {
        this.#waiting.push({ ...arrival, arrivedAt: clock.now() })
        this.#pump()
      })
    const lastAt = this.#options.phases * phaseMs
    // As routers hear of it: a slot that is open again because steps have become shorter.
    const timer = clock.every(reportMs, () => this.#pump())
    await clock.advance(lastAt)
    await clock.runUntil(() => this.#waiting.length === 0 && this.#running.size === 0, 600_000)
    timer.cancel()
    this.#ranMs = clock.now() - startedAt
    await this.#alone.stop()
  }

  result(): TraceResult {
    const lost = this.#lost()
    const good = this.#arrivals.length - lost.length
    const seconds = (this.#options.phases * phaseMs) / 1_000
    const count = (list: readonly { loss: Loss }[], cause: Loss) => list.filter(({ loss }) => loss === cause).length
    return {
      lost: new Map([...Map.groupBy(lost, ({ phase }) => phase)].map(([phase, list]) => [phase, list.length])),
      lostBy: {
        'given up': count(lost, 'given up'),
        'late first token': count(lost, 'late first token'),
        'late tokens': count(lost, 'late tokens'),
      },
      goodput: good / seconds,
      goodShare: good / this.#arrivals.length,
      tpotP99: p99(this.#served.map(({ tpotMs }) => tpotMs)),
      ttftP99: p99(this.#served.map(({ ttftMs }) => ttftMs)),
      tokensPerSecond: (1_000 * this.#alone.gained) / this.#ranMs,
    }
  }

  #lost(): { phase: string; loss: Loss }[] {
    const phaseOf = (arrivedAt: number) => phaseAt(arrivedAt - this.#startedAt)
    const late = this.#served.flatMap(({ arrivedAt, ttftMs, tpotMs }) => {
      const loss = tpotMs > slo.tpotMs ? 'late tokens' : ttftMs > slo.ttftMs ? 'late first token' : null
      return loss === null ? [] : [{ phase: phaseOf(arrivedAt), loss } as const]
    })
    return [
      ...late,
      ...this.#givenUp.map(({ arrivedAt }) => ({ phase: phaseOf(arrivedAt), loss: 'given up' as const })),
    ]
  }

  #pump(): void {
    const now = this.#alone.clock.now()
    while (this.#running.size < this.#alone.worker.report().slots.total) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      const heldMs = now - next.arrivedAt
      if (heldMs > slo.ttftMs) this.#givenUp.push(next)
      else {
        const id = this.#alone.send({ promptTokens, tokens: next.tokens })
        this.#running.set(id, { arrivedAt: next.arrivedAt, heldMs })
      }
    }
  }

  #ended(id: string, usage: Usage): void {
    const { heldMs, arrivedAt } = this.#running.get(id) ?? { heldMs: 0, arrivedAt: 0 }
    this.#running.delete(id)
    const { waitMs, promptMs, generationMs, completionTokens } = usage
    this.#served.push({
      arrivedAt,
      ttftMs: heldMs + waitMs + promptMs,
      tpotMs: generationMs / Math.max(1, completionTokens - 1),
    })
    this.#pump()
  }
}

function acceptanceAt(ms: number): number {
  let left = ms % acceptancePhases.reduce((sum, { forMs }) => sum + forMs, 0)
  return acceptancePhases.find(({ forMs }) => (left -= forMs) < 0)?.acceptance ?? 0
}

/** Load and acceptance, as in `busy, 0.5`. */
function phaseAt(ms: number): string {
  return `${Math.floor(ms / phaseMs) % 2 === 0 ? 'calm' : 'busy'}, ${acceptanceAt(ms)}`
}

function arrivalsOf({ seed, slowPerSecond, phases }: TraceOptions): Waiting[] {
  const random = createRandom(seed).fork('arrivals')
  const arrivals: Waiting[] = []
  for (let phase = 0; phase < phases; phase++) {
    const perSecond = phase % 2 === 0 ? slowPerSecond : 8 * slowPerSecond
    let at = phase * phaseMs
    for (;;) {
      at += random.exponential(1_000 / perSecond)
      if (at >= (phase + 1) * phaseMs) break
      arrivals.push({ arrivedAt: at, tokens: random.int(32, 96) })
    }
  }
  return arrivals
}

/** As vLLM's table: one length for each batch size, chosen beforehand from the curve for one acceptance. */
export function lengthByTable(sequences: number): number {
  const known = curveOf(curve)
  const ms = (length: number) =>
    predictShapeMs(known, 'split', { counts: [sequences * (1 + length)], contextTokens: 64, promptTokens: 0 })
  return bestLength({
    lengthMax: 8,
    tokens: (length) => sequences * expectedTokens(0.7, length),
    stepMs: (length) => ms(length) + length * draftStepShare * ms(0),
  }).length
}

function byTable(proposer: Proposer): Proposer {
  return {
    method: proposer.method,
    forget: (key) => proposer.forget(key),
    propose(requests) {
      const length = lengthByTable(requests.length)
      return proposer.propose(
        requests.map((request) => ({ ...request, tokensMax: Math.min(request.tokensMax, length) })),
      )
    },
  }
}

function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(0.99 * sorted.length))] ?? 0
}
