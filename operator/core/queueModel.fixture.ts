/**
 * A small queueing model for the tests of the autoscaler: requests arrive at random, wait for a slot, run and are judged by their
 * SLO; workers take a while to start. Seeded, pure.
 */
import { addWait } from '#algorithms/waitHistogram.ts'
import { Scaling } from '#contracts/resources/modelDeployment.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import type { DemandSample } from './observed.ts'
import { decideScale, firstState, type ScaleInput, type ScaleState } from './scale.ts'

const tickMs = 100
const sampleMs = 5_000
const slots = 8
const ttftMs = 1_000
/** A request that takes longer than this on its worker misses its SLO. */
const takesMsMax = 5_000

export interface Load {
  /** Requests per second by second; at most 10. */
  readonly load: (second: number) => number
  readonly seconds: number
  readonly scaling?: object
  readonly startSeconds?: number
  readonly startReplicas?: number
  /** How long a request takes on a worker that runs so many, on average. */
  readonly serviceMs?: (busy: number) => number
  readonly seed?: number
}

export interface Second {
  readonly replicas: number
  readonly waiting: number
  /** Ended in this second, and within the SLO. */
  readonly offered: number
  readonly met: number
}

interface Running {
  readonly endsAt: number
  readonly isGood: boolean
}
interface Worker {
  readonly readyAt: number
  running: Running[]
}
type Sample = { -readonly [K in keyof DemandSample]: DemandSample[K] } & { waits: number[] }

export function simulate(load: Load): Second[] {
  const model = new Model(load)
  return Array.from({ length: load.seconds }, () => model.second())
}

class Model {
  readonly #load: Load
  readonly #random: () => number
  readonly #workers: Worker[] = []
  #now = 0
  #queue: number[] = []
  #samples: Sample[] = []
  #state: ScaleState | null = null

  constructor(load: Load) {
    this.#load = load
    this.#random = mulberry32(load.seed ?? 1)
    for (let i = 0; i < (load.startReplicas ?? 1); i++) this.#workers.push({ readyAt: 0, running: [] })
    this.#samples = [newSample(0, 0)]
  }

  second(): Second {
    const before = { ...this.#sample }
    for (let tick = 0; tick < 1_000 / tickMs; tick++) this.#tick()
    const { offered, met } = this.#sample
    if (this.#now - this.#sample.at >= sampleMs)
      this.#samples = [...this.#samples, newSample(this.#now, this.#queue.length)].slice(-60)
    const replicas = this.#scale()
    return { replicas, waiting: this.#queue.length, offered: offered - before.offered, met: met - before.met }
  }

  #tick(): void {
    this.#now += tickMs
    const { load } = this.#load
    if (this.#random() < (load(this.#now / 1_000) * tickMs) / 1_000) this.#queue.push(this.#now)
    for (const worker of this.#workers) {
      const ended = worker.running.filter(({ endsAt }) => endsAt <= this.#now)
      this.#sample.offered += ended.length
      this.#sample.met += ended.filter(({ isGood }) => isGood).length
      worker.running = worker.running.filter(({ endsAt }) => endsAt > this.#now)
    }
    this.#queue = this.#queue.filter((arrivedAt) => !this.#place(arrivedAt))
  }

  #place(arrivedAt: number): boolean {
    const free = this.#workers.filter((worker) => worker.readyAt <= this.#now && worker.running.length < slots)
    const worker = free.toSorted((a, b) => a.running.length - b.running.length)[0]
    if (worker === undefined) return false
    const waitMs = this.#now - arrivedAt
    const meanMs = (this.#load.serviceMs ?? (() => 4_000))(worker.running.length + 1)
    addWait(this.#sample.waits, waitMs)
    const endsAt = this.#now + meanMs * (0.5 + this.#random())
    worker.running.push({ endsAt, isGood: waitMs <= ttftMs && meanMs <= takesMsMax })
    return true
  }

  #scale(): number {
    const input = this.#input()
    this.#state ??= firstState(input, this.#load.startReplicas ?? 1, this.#now)
    this.#state = decideScale(input, this.#state, this.#now).state
    const { replicas } = this.#state
    const readyAt = this.#now + (this.#load.startSeconds ?? 20) * 1_000
    while (this.#workers.length < replicas) this.#workers.push({ readyAt, running: [] })
    // The least busy go; that they finish what they run is left out.
    while (this.#workers.length > replicas) {
      this.#workers.sort((a, b) => b.running.length - a.running.length)
      this.#workers.pop()
    }
    return replicas
  }

  #input(): ScaleInput {
    const running = this.#workers.reduce((sum, worker) => sum + worker.running.length, 0)
    const waiting = this.#queue.length
    const held = this.#workers.length === 0 ? waiting : 0
    return {
      scaling: Scaling.parse({ maxReplicas: 10, ...this.#load.scaling }),
      slo: { ttftMs },
      demand: { freshness: 'fresh', waiting, held, running, slotsBusy: running, samples: this.#samples },
      ready: this.#workers.filter(({ readyAt }) => readyAt <= this.#now).length,
      slotsPerWorker: slots,
    }
  }

  get #sample(): Sample {
    const last = this.#samples.at(-1)
    if (last === undefined) throw new Error('bug: there is always a sample')
    return last
  }
}

function newSample(at: number, waiting: number): Sample {
  return { at, waiting, offered: 0, met: 0, waits: [] }
}
