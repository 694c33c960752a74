/**
 * For tests: an engine with one adapter at a time and room for a few, in virtual time, fed by skewed traffic. Requests are served
 * either as they come (a batch of those that came first, its experts one after the other, LRU) or as planned.
 */
import { PolicyCache } from './cachePolicies/cache.ts'
import { leastRecent } from './cachePolicies/leastRecent.ts'
import { type ExpertRequest, planExpertBatch } from './expertQueues.ts'
import { planResidence } from './expertResidence.ts'
import { seeded } from './seeded.ts'

export interface Traffic {
  readonly seed: number
  readonly requests: number
  readonly experts: number
  readonly resident: number
  readonly slots: number
  /** Of what the engine can do with full batches and no switch. */
  readonly load: number
  readonly guardMs: number
}

export interface Arrived extends ExpertRequest<number, number> {
  readonly tokens: number
  readonly arrivedAt: number
}

export interface Outcome {
  readonly switchesPer1000Tokens: number
  readonly loads: number
  readonly waitMsMax: number
  readonly tokensPerSecond: number
  readonly served: number
}

const tokensMax = 60
const switchMs = 15
const loadMs = 120
/** The shape that small models show on a CPU. */
const stepMs = (rows: number) => 4 * (rows === 1 ? 1 : 1.4 + 0.21 * rows)
export const turnMsOf = ({ slots }: Traffic) => loadMs + switchMs + tokensMax * stepMs(slots)

export function arrivals(traffic: Traffic): Arrived[] {
  const uniform = seeded(traffic.seed)
  const weights = Array.from({ length: traffic.experts }, (_, rank) => 1 / (rank + 1))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const meanMs = (40 * stepMs(traffic.slots)) / traffic.slots / traffic.load
  let now = 0
  return Array.from({ length: traffic.requests }, (_, id) => {
    now += -meanMs * Math.log(1 - uniform())
    let left = uniform() * total
    const expert = weights.findIndex((weight) => (left -= weight) < 0)
    const tokens = 20 + Math.floor(uniform() * (tokensMax - 19))
    return {
      id,
      expert: Math.max(0, expert),
      tokens,
      size: 1,
      priority: 0,
      tenantServed: 0,
      arrivedAt: now,
      startBy: now + traffic.guardMs - loadMs - switchMs,
    }
  })
}

/** Serves everything; `planned` by the planner, else first come, first served. */
export function serve(traffic: Traffic, { planned }: { readonly planned: boolean }): Outcome {
  const coming = arrivals(traffic)
  const engine = new Engine(traffic)
  const waiting: Arrived[] = []
  let next = 0
  while (next < coming.length || waiting.length > 0) {
    if (waiting.length === 0) engine.now = Math.max(engine.now, coming[next]?.arrivedAt ?? 0)
    for (let arrived = coming[next]; arrived !== undefined && arrived.arrivedAt <= engine.now; arrived = coming[next]) {
      waiting.push(arrived)
      next += 1
    }
    const batch = planned ? engine.servePlanned(waiting) : engine.serveFirst(waiting)
    const gone = new Set(batch)
    waiting.splice(0, waiting.length, ...waiting.filter(({ id }) => !gone.has(id)))
  }
  return engine.outcome()
}

class Engine {
  now = 0
  readonly #traffic: Traffic
  readonly #cache: PolicyCache<number>
  #attached: number | null = null
  #resident: number[] = []
  #switches = 0
  #loads = 0
  #tokens = 0
  #served = 0
  #waitMsMax = 0

  constructor(traffic: Traffic) {
    this.#traffic = traffic
    this.#cache = new PolicyCache({ bytesMax: traffic.resident, policy: leastRecent() })
  }

  serveFirst(waiting: readonly Arrived[]): number[] {
    const batch = waiting.slice(0, this.#traffic.slots)
    for (const expert of new Set(batch.map((request) => request.expert))) {
      const used = this.#cache.use({ key: expert, bytes: 1, cost: 1 })
      if (used.kind === 'miss') this.#load()
      this.#run(
        expert,
        batch.filter((request) => request.expert === expert),
      )
    }
    return batch.map(({ id }) => id)
  }

  servePlanned(waiting: readonly Arrived[]): number[] {
    const { requests, experts } = planExpertBatch({
      line: waiting,
      room: this.#traffic.slots,
      expertsMax: 1,
      turnMs: turnMsOf(this.#traffic),
      leadTokensMax: 0,
      resident: this.#resident,
      now: this.now,
    })
    const ids = new Set(requests.map(({ id }) => id))
    const item = (key: number) => ({ key, bytes: 1, cost: 1 })
    const plan = planResidence({
      needed: experts.map(item),
      resident: this.#resident.map(item),
      bytesMax: this.#traffic.resident,
      isInUse: () => false,
      upcoming: waiting.filter(({ id }) => !ids.has(id)).map(({ expert }) => item(expert)),
      prefetchMax: 0,
    })
    for (const _ of plan.load) this.#load()
    const left = this.#resident.filter((expert) => !plan.evict.includes(expert) && !experts.includes(expert))
    this.#resident = [...left, ...experts]
    for (const expert of experts)
      this.#run(
        expert,
        waiting.filter(({ id }) => ids.has(id)),
      )
    return [...ids]
  }

  outcome(): Outcome {
    return {
      switchesPer1000Tokens: (1_000 * this.#switches) / this.#tokens,
      loads: this.#loads,
      waitMsMax: this.#waitMsMax,
      tokensPerSecond: (1_000 * this.#tokens) / this.now,
      served: this.#served,
    }
  }

  #load(): void {
    this.#loads += 1
    this.now += loadMs
  }

  #run(expert: number, requests: readonly Arrived[]): void {
    if (this.#attached !== expert) {
      this.#switches += 1
      this.now += switchMs
      this.#attached = expert
    }
    for (const { arrivedAt, tokens } of requests) {
      this.#waitMsMax = Math.max(this.#waitMsMax, this.now - arrivedAt)
      this.#tokens += tokens
      this.#served += 1
    }
    this.now += Math.max(...requests.map(({ tokens }) => tokens)) * stepMs(requests.length)
  }
}
