/**
 * The waiting line of one deployment: bounded in requests and bytes, by priority, fair between tenants.
 *
 * Fairness is the virtual token counter of "Fairness in Serving Large Language Models" (OSDI 24): each tenant has a counter of
 * the tokens it was served divided by its weight; the waiting tenant with the smallest counter is next. A tenant that comes back
 * from idling is lifted to the smallest counter of those that wait (or of whoever was taken last), so idling banks no credit.
 * A full line takes an arrival of a tenant that waits with less by displacing the newest request of the one that waits with most:
 * otherwise whoever floods first would own the line.
 * Tenants that wait at other routers count as waiting here (`setElsewhere`): nobody gets further ahead of one of them than `leadTokensMax`,
 * so shares hold over all routers together.
 * Higher priority goes first, over all tenants. Invariants: `length` ≤ `requestsMax` and `bytes` ≤ `bytesMax`, except for what
 * was admitted before and put back. Mutable, single writer; `now` is passed in.
 */
import type { TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'

export interface Waiting {
  readonly tenant: TenantId
  readonly weight: number
  readonly priority: number
  readonly bytes: number
  /** Local time after which it must not wait any longer. */
  readonly expiresAt: number
}

export interface QueueBounds {
  readonly requestsMax: number
  readonly bytesMax: number
}

export type Offered<T> =
  | { readonly kind: 'queued'; readonly displaced: readonly T[] }
  | { readonly kind: 'full'; readonly bound: 'requests' | 'bytes' }

interface Line<T> {
  readonly tenant: TenantId
  virtual: number
  /** Tokens, by this router alone. */
  served: number
  /** Requests that left the line to be sent. */
  taken: number
  /** Highest priority of those that wait at other routers; null: none does. */
  elsewhere: number | null
  weight: number
  bytes: number
  /** Highest priority first, then in order of arrival. */
  items: T[]
}

/** Waits at another router. */
export interface TenantElsewhere {
  readonly tenant: TenantId
  readonly weight: number
  readonly priority: number
}

/** How a tenant stands at this router, for the others. */
export interface TenantStanding {
  readonly tenant: TenantId
  readonly weight: number
  /** Null: it does not wait here. */
  readonly priority: number | null
  readonly served: number
  readonly taken: number
}

/** One who waits, and what its tenant will have been served before it. */
export interface Upcoming<T> {
  readonly item: T
  readonly tenantServed: number
}

interface Head<T> {
  readonly line: Line<T>
  at: number
  virtual: number
}

const nothing: readonly never[] = []

export class FairQueue<T extends Waiting> {
  /** May change while requests wait; only arrivals are measured by it. */
  bounds: QueueBounds
  readonly #tenantsMax: number
  /** In order of last use, so that the first one is the least recently seen. */
  readonly #lines = new Map<TenantId, Line<T>>()
  readonly #active = new Set<Line<T>>()
  readonly #elsewhere = new Set<Line<T>>()
  #length = 0
  #bytes = 0
  #virtualOfLastTaken = 0

  constructor(bounds: QueueBounds, tenantsMax: number = limits.queue.tenantsMax) {
    this.bounds = bounds
    this.#tenantsMax = tenantsMax
  }

  get length(): number {
    return this.#length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `displaced` are no longer in the line and must be refused by the caller. */
  offer(item: T): Offered<T> {
    const displaced = this.#makeRoom(item)
    if (displaced.kind === 'full') return displaced
    this.#insert(item, 'behind-equals')
    return displaced
  }

  /** For what was taken and could not be placed: first of its tenant again, never refused. */
  putBack(item: T): void {
    this.#insert(item, 'before-equals')
  }

  /** Who is next; stays in the line. */
  peek(): T | undefined {
    return this.#next()?.items[0]
  }

  /** Should who is next let somebody go first who waits at another router? */
  get yields(): boolean {
    if (this.#elsewhere.size === 0) return false
    const next = this.#next()
    const priority = next?.items[0]?.priority
    if (next === undefined || priority === undefined) return false
    for (const line of this.#elsewhere) {
      if (line === next || line.elsewhere === null) continue
      const isBehind = next.virtual - line.virtual > limits.queue.leadTokensMax
      if (line.elsewhere > priority || (line.elsewhere === priority && isBehind)) return true
    }
    return false
  }

  /** Does anybody wait for this deployment, here or at another router? */
  get isContended(): boolean {
    return this.#length > 0 || this.#elsewhere.size > 0
  }

  /** All who wait at other routers now. Whoever did before keeps its place; the others come without credit, as if they came here. */
  setElsewhere(tenants: readonly TenantElsewhere[]): void {
    const now = new Map(tenants.map((each) => [each.tenant, each]))
    for (const line of this.#elsewhere) {
      if (now.has(line.tenant)) continue
      line.elsewhere = null
      this.#elsewhere.delete(line)
    }
    for (const { tenant, weight, priority } of now.values()) {
      const line = this.#lineOf({ tenant, weight })
      if (!this.#isWaiting(line)) line.virtual = Math.max(line.virtual, this.#virtualOfWaiting())
      line.elsewhere = priority
      this.#elsewhere.add(line)
    }
  }

  /** Those that wait here, then those that were served here, the last seen first. */
  standings(tenantsMax: number): TenantStanding[] {
    const idle = [...this.#lines.values()].reverse().filter((line) => line.served > 0 && line.items.length === 0)
    return [...this.#active, ...idle].slice(0, tenantsMax).map(({ tenant, weight, items, served, taken }) => {
      return { tenant, weight, priority: items[0]?.priority ?? null, served, taken }
    })
  }

  take(): T | undefined {
    const line = this.#next()
    const item = line?.items.shift()
    if (line === undefined || item === undefined) return undefined
    this.#virtualOfLastTaken = line.virtual
    line.taken += 1
    this.#left(line, item)
    return item
  }

  /** Out of turn; false where it is not in the line. */
  takeItem(item: T): boolean {
    const line = this.#lines.get(item.tenant)
    if (line === undefined || !this.remove(item)) return false
    this.#virtualOfLastTaken = line.virtual
    line.taken += 1
    return true
  }

  /** Those who wait, in the order in which they would be taken if nobody came and each were charged `tokensOf`. */
  upcoming(itemsMax: number, tokensOf: (item: T) => number): Upcoming<T>[] {
    const heads = [...this.#active].map((line) => ({ line, at: 0, virtual: line.virtual }))
    const upcoming: Upcoming<T>[] = []
    while (upcoming.length < itemsMax) {
      const next = heads.reduce<Head<T> | null>((best, head) => (goesFirst(head, best) ? head : best), null)
      const item = next?.line.items[next.at]
      if (next === null || item === undefined) break
      upcoming.push({ item, tenantServed: next.virtual })
      next.virtual += tokensOf(item) / next.line.weight
      next.at += 1
    }
    return upcoming
  }

  *items(): Generator<T> {
    for (const line of this.#active) yield* line.items
  }

  /** Tokens served to a tenant, prompt and output alike. Negative where an estimate was too high. */
  charge(tenant: TenantId, tokens: number): void {
    const line = this.#lines.get(tenant)
    if (line === undefined) return
    line.virtual += tokens / line.weight
    line.served += tokens
  }

  /** The same by another router. */
  chargeElsewhere(tenant: TenantId, tokens: number): void {
    const line = this.#lines.get(tenant)
    if (line !== undefined) line.virtual += tokens / line.weight
  }

  /** False where it is not (or no longer) in the line. */
  remove(item: T): boolean {
    const line = this.#lines.get(item.tenant)
    const index = line?.items.indexOf(item) ?? -1
    if (line === undefined || index < 0) return false
    line.items.splice(index, 1)
    this.#left(line, item)
    return true
  }

  /** Takes out whatever has waited too long. */
  expire(now: number): T[] {
    return this.removeWhere((item) => item.expiresAt <= now)
  }

  removeWhere(matches: (item: T) => boolean): T[] {
    if (this.#length === 0) return []
    const found = [...this.#active].flatMap((line) => line.items.filter(matches))
    for (const item of found) this.remove(item)
    return found
  }

  #makeRoom(item: T): Offered<T> {
    const bound = this.#boundReachedWith(item)
    if (bound === null) return { kind: 'queued', displaced: nothing }
    const victims = this.#victimsFor(item, bound)
    if (victims === null) return { kind: 'full', bound }
    for (const victim of victims) this.remove(victim)
    return { kind: 'queued', displaced: victims }
  }

  #boundReachedWith(item: T, freed: { requests: number; bytes: number } = { requests: 0, bytes: 0 }) {
    if (this.#length - freed.requests + 1 > this.bounds.requestsMax) return 'requests'
    if (this.#bytes - freed.bytes + item.bytes > this.bounds.bytesMax) return 'bytes'
    return null
  }

  /** The newest requests of the tenant with most, where that one stays ahead of the arriving tenant even so. */
  #victimsFor(item: T, bound: 'requests' | 'bytes'): T[] | null {
    const size = (line: Line<T>) => (bound === 'requests' ? line.items.length : line.bytes) / line.weight
    let largest: Line<T> | null = null
    for (const line of this.#active) if (largest === null || size(line) > size(largest)) largest = line
    const own = this.#lines.get(item.tenant)
    if (largest === null || largest === own) return null
    const freed = { requests: 0, bytes: 0 }
    const victims: T[] = []
    for (let i = largest.items.length - 1; this.#boundReachedWith(item, freed) !== null; i--) {
      const victim = largest.items[i]
      if (victim === undefined || victim.priority > item.priority) return null
      victims.push(victim)
      freed.requests += 1
      freed.bytes += victim.bytes
    }
    const left = bound === 'requests' ? largest.items.length - freed.requests : largest.bytes - freed.bytes
    const had = bound === 'requests' ? (own?.items.length ?? 0) + 1 : (own?.bytes ?? 0) + item.bytes
    return left / largest.weight >= had / item.weight ? victims : null
  }

  #insert(item: T, place: 'behind-equals' | 'before-equals'): void {
    const line = this.#lineOf(item)
    if (!this.#isWaiting(line)) line.virtual = Math.max(line.virtual, this.#virtualOfWaiting())
    this.#active.add(line)
    let index = line.items.length
    const passes = (other: T | undefined) =>
      other !== undefined &&
      (place === 'behind-equals' ? other.priority < item.priority : other.priority <= item.priority)
    while (index > 0 && passes(line.items[index - 1])) index -= 1
    line.items.splice(index, 0, item)
    line.bytes += item.bytes
    this.#length += 1
    this.#bytes += item.bytes
  }

  #left(line: Line<T>, item: T): void {
    line.bytes -= item.bytes
    this.#length -= 1
    this.#bytes -= item.bytes
    if (line.items.length === 0) this.#active.delete(line)
  }

  #virtualOfWaiting(): number {
    let smallest = Number.POSITIVE_INFINITY
    for (const line of this.#active) smallest = Math.min(smallest, line.virtual)
    for (const line of this.#elsewhere) smallest = Math.min(smallest, line.virtual)
    return smallest === Number.POSITIVE_INFINITY ? this.#virtualOfLastTaken : smallest
  }

  #next(): Line<T> | undefined {
    let best: Line<T> | undefined
    for (const line of this.#active) {
      if (best === undefined || this.#goesBefore(line, best)) best = line
    }
    return best
  }

  #goesBefore(a: Line<T>, b: Line<T>): boolean {
    const priorityA = a.items[0]?.priority ?? 0
    const priorityB = b.items[0]?.priority ?? 0
    return priorityA > priorityB || (priorityA === priorityB && a.virtual < b.virtual)
  }

  #isWaiting(line: Line<T>): boolean {
    return line.items.length > 0 || line.elsewhere !== null
  }

  #lineOf({ tenant, weight }: Pick<T, 'tenant' | 'weight'>): Line<T> {
    const found = this.#lines.get(tenant)
    if (found !== undefined && this.#lines.size === 1) {
      found.weight = weight
      return found
    }
    const line = found ?? { tenant, virtual: 0, served: 0, taken: 0, elsewhere: null, weight, bytes: 0, items: [] }
    line.weight = weight
    this.#lines.delete(tenant)
    this.#lines.set(tenant, line)
    if (this.#lines.size > this.#tenantsMax) this.#forgetOldest()
    return line
  }

  #forgetOldest(): void {
    for (const [tenant, line] of this.#lines) {
      if (this.#isWaiting(line)) continue
      this.#lines.delete(tenant)
      return
    }
  }
}

function goesFirst<T extends Waiting>(head: Head<T>, best: Head<T> | null): boolean {
  const item = head.line.items[head.at]
  if (item === undefined) return false
  const other = best?.line.items[best.at]
  if (best === null || other === undefined) return true
  return item.priority > other.priority || (item.priority === other.priority && head.virtual < best.virtual)
}
