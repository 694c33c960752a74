/**
 * What routers tell each other of their tenants while requests wait, so that shares hold over all of them together: who waits, and what
 * each was served. Nobody decides for anybody else: each router only lets go first who is behind (`FairQueue.yields`).
 *
 * Silent while nothing waits anywhere. News is cumulative, so a lost message is made good by the next; news of a router that fell silent is
 * forgotten; and a router that is let first and does not send is not waited for (`core/yielding.ts`).
 */
import type { DeploymentName, RouterId, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { TenantsNews } from '#contracts/messages.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus, Subscription } from '#runtime/bus.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import type { TenantElsewhere, TenantStanding } from './core/admit.ts'

/** A deployment's queue, as far as this needs it. */
export interface SharedQueue {
  readonly length: number
  readonly isContended: boolean
  standings(tenantsMax: number): readonly TenantStanding[]
  setElsewhere(tenants: readonly TenantElsewhere[]): void
  chargeElsewhere(tenant: TenantId, tokens: number): void
}

export interface TenantsNewsOptions {
  readonly router: RouterId
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Log
  readonly queues: () => Iterable<readonly [DeploymentName, SharedQueue]>
  /** Somebody was sent elsewhere (`wasServed`), or waits there no more: whoever let them first may go on. */
  readonly changed: (deployment: DeploymentName, wasServed: boolean) => void
}

interface Told {
  /** What it has been charged for here, at the least. */
  readonly served: number
  readonly taken: number
}

interface Heard {
  at: number
  waits: boolean
  /** By deployment and tenant, by the last news. */
  told: ReadonlyMap<string, Told>
  news: TenantsNews['deployments']
}

const { tenantsNewsMs, tenantsNewsAgeMsMax, sharedTenantsMax } = limits.queue

export class TenantsExchange {
  readonly #o: TenantsNewsOptions
  readonly #heard = new Map<RouterId, Heard>()
  #timer: Timer | null = null
  #subscription: Subscription | null = null
  /** Others heard that somebody waits here, and must hear when nobody does any more. */
  #hasSaid = false

  constructor(options: TenantsNewsOptions) {
    this.#o = options
  }

  start(): void {
    this.#subscription = this.#o.bus.subscribe(subjects.tenantsNews, (payload) => this.#hear(payload))
    this.#timer = this.#o.clock.every(tenantsNewsMs, () => this.#tick())
  }

  stop(): void {
    this.#timer?.cancel()
    this.#subscription?.unsubscribe()
  }

  #tick(): void {
    this.#forgetSilent()
    const queues = [...this.#o.queues()]
    if (this.#o.bus.state !== 'connected') return
    const waits = queues.some(([, queue]) => queue.length > 0)
    const othersWait = [...this.#heard.values()].some((heard) => heard.waits)
    if (!waits && !othersWait && !this.#hasSaid) return
    // After the last one has gone, once more.
    this.#hasSaid = waits
    const deployments = queues.flatMap(([deployment, queue]) =>
      queue.isContended ? [{ deployment, tenants: [...queue.standings(sharedTenantsMax)] }] : [],
    )
    this.#o.bus.publish(subjects.tenantsNews, encode({ router: this.#o.router, deployments } satisfies TenantsNews))
  }

  #hear(payload: Uint8Array): void {
    const news = this.#decoded(payload)
    if (news === null || news.router === this.#o.router) return
    const known = this.#heard.get(news.router)
    const heard = known ?? { at: 0, waits: false, told: new Map<string, Told>(), news: [] }
    heard.at = this.#o.clock.now()
    heard.waits = news.deployments.some(({ tenants }) => tenants.some(({ priority }) => priority !== null))
    heard.news = news.deployments
    this.#heard.set(news.router, heard)
    this.#apply(heard)
  }

  #apply(heard: Heard): void {
    const queues = new Map(this.#o.queues())
    const served = new Set<DeploymentName>()
    const told = new Map<string, Told>()
    for (const { deployment, tenants } of heard.news) {
      const queue = queues.get(deployment)
      for (const { tenant, served: tokens, taken } of tenants) {
        const key = `${deployment} ${tenant}`
        const before = heard.told.get(key)
        told.set(key, { served: chargedUpTo(before?.served, tokens), taken })
        // The first word of a tenant, or the first after a pause, says nothing of when it was served.
        if (before === undefined) continue
        if (tokens > before.served) queue?.chargeElsewhere(tenant, tokens - before.served)
        // Old streams go on for minutes in a router that cannot send: only a new request says that it can.
        if (taken > before.taken) served.add(deployment)
      }
    }
    heard.told = told
    for (const [deployment, queue] of queues) this.#waitElsewhere(deployment, queue, served.has(deployment))
  }

  /** Of all routers that were heard lately, the highest priority of each tenant. */
  #waitElsewhere(deployment: DeploymentName, queue: SharedQueue, wasServed: boolean): void {
    const waiting = new Map<TenantId, TenantElsewhere>()
    for (const { news } of this.#heard.values())
      for (const { tenant, weight, priority } of news.find((each) => each.deployment === deployment)?.tenants ?? []) {
        if (priority === null) continue
        const highest = Math.max(priority, waiting.get(tenant)?.priority ?? priority)
        waiting.set(tenant, { tenant, weight, priority: highest })
      }
    queue.setElsewhere([...waiting.values()])
    this.#o.changed(deployment, wasServed)
  }

  #forgetSilent(): void {
    const before = this.#heard.size
    for (const [router, { at }] of this.#heard)
      if (this.#o.clock.now() - at > tenantsNewsAgeMsMax) this.#heard.delete(router)
    if (this.#heard.size === before) return
    for (const [deployment, queue] of this.#o.queues()) this.#waitElsewhere(deployment, queue, false)
  }

  #decoded(payload: Uint8Array): TenantsNews | null {
    try {
      return decode(TenantsNews, payload)
    } catch (error) {
      this.#o.log.warn({ error }, 'news of another router dropped: not of its declared form')
      return null
    }
  }
}

/** An estimate that was too high is taken back there, and its tokens are not charged here a second time. Less than half is a count begun anew. */
function chargedUpTo(before: number | undefined, tokens: number): number {
  return before !== undefined && tokens < before && tokens > before / 2 ? before : tokens
}
