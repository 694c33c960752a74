/**
 * Leads or waits to lead, by a Lease; and says at any instant whether this process may still write (the gate of the client).
 *
 * A leader that could not renew in time has lost, even if nobody took the lease: it writes nothing more, says so once and is of
 * no further use (its process ends, a new one stands for election). That also holds for a process that was frozen: the gate looks
 * at the monotonic clock right before each write.
 */
import { Failure } from '#contracts/failure.ts'
import type { LeaseConfig } from '#contracts/operatorConfig.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { KubernetesClient, WriteGate } from './client.ts'
import { type LeaseStep, type LeaseView, nextLeaseStep, type Sighting, sight, writesUntil } from './core/lease.ts'
import { type Lease, resources, versionOf } from './core/objects.ts'

export interface ElectionOptions {
  readonly client: KubernetesClient
  readonly config: LeaseConfig
  readonly identity: string
  readonly clock: Clock
  readonly epochMs: () => number
  readonly random: () => number
  readonly log: Log
}

export type ElectionState = 'waiting' | 'leading' | 'lost' | 'stopped'

export class Election implements WriteGate {
  readonly #options: ElectionOptions
  readonly #stopping = new AbortController()
  readonly #won = Promise.withResolvers<boolean>()
  #state: ElectionState = 'waiting'
  #until = Number.NEGATIVE_INFINITY
  #sighting: Sighting | null = null
  #held: Lease | null = null
  #onLost: (() => void) | null = null

  constructor(options: ElectionOptions) {
    this.#options = options
  }

  get state(): ElectionState {
    return this.#state
  }

  /** Who leads as far as we know; null: nobody, or not looked yet. */
  get holder(): string | null {
    return this.#sighting?.view?.holder || null
  }

  /** Begins to stand for election. Resolves with true once this process leads, with false when it was stopped before. */
  run(onLost: () => void): Promise<boolean> {
    this.#onLost = onLost
    void this.#loop()
    return this.#won.promise
  }

  assertOpen(): void {
    if (this.remainingMs() > 0) return
    throw new Failure('lease-lost', 'this operator does not hold the lease (any more) and writes nothing')
  }

  remainingMs(): number {
    return this.#state === 'leading' ? Math.max(0, this.#until - this.#options.clock.now()) : 0
  }

  /** No more writes from now on; the lease is given up, so that another takes it at once. */
  async stop(): Promise<void> {
    const wasLeading = this.#state === 'leading' && this.remainingMs() > 0
    if (this.#state !== 'lost') this.#state = 'stopped'
    this.#stopping.abort()
    this.#won.resolve(false)
    if (wasLeading && this.#held !== null) await this.#release(this.#held)
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted && this.#state !== 'lost') {
      const done = await this.#attempt()
      if (signal.aborted || this.#isLost()) break
      await delay(this.#options.clock, this.#waitMs(done), signal).catch(() => undefined)
    }
    if (this.#state === 'lost') this.#onLost?.()
  }

  #waitMs(done: boolean): number {
    const { config, random, clock } = this.#options
    if (this.#state !== 'leading') return config.retryMs * (0.8 + 0.4 * random())
    // Not a moment longer than the lease: the end of it is noticed when it comes.
    const leftMs = Math.max(1, this.#until - clock.now())
    return Math.min(done ? config.renewMs : config.retryMs, leftMs)
  }

  #isLost(): boolean {
    if (this.#state !== 'leading' || this.remainingMs() > 0) return false
    this.#lose('it could not be renewed in time')
    return true
  }

  #lose(why: string): void {
    if (this.#state !== 'leading') return
    this.#state = 'lost'
    this.#options.log.error({ why, holder: this.holder }, 'the lease is lost: nothing more is written')
  }

  /** One try to get or keep it; false: to be tried again soon. */
  async #attempt(): Promise<boolean> {
    try {
      return this.#state === 'leading' && this.#held !== null
        ? await this.#renew(this.#held)
        : await this.#stand(await this.#look())
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      if (!this.#stopping.signal.aborted) this.#options.log.warn({ error }, 'the lease cannot be read or written')
      return false
    }
  }

  async #look(): Promise<Lease | null> {
    const { client, config, clock } = this.#options
    const lease = await client.get(resources.leases, config.name)
    this.#sighting = sight(this.#sighting, lease === null ? null : viewOf(lease), clock.now())
    return lease
  }

  async #stand(lease: Lease | null): Promise<boolean> {
    const { identity, clock } = this.#options
    const now = clock.now()
    const step: LeaseStep = this.#sighting === null ? { kind: 'wait' } : nextLeaseStep(this.#sighting, identity, now)
    switch (step.kind) {
      case 'wait':
        return true
      case 'create':
        return this.#lead(now, await this.#create())
      case 'take':
      case 'renew':
        return lease !== null && this.#lead(now, await this.#write(lease, step.transitions, true))
      default:
        return step satisfies never
    }
  }

  async #renew(held: Lease): Promise<boolean> {
    const { clock, identity } = this.#options
    const sentAt = clock.now()
    const renewed = await this.#write(held, held.spec?.leaseTransitions ?? 0, false)
    if (renewed !== null) {
      this.#extend(sentAt, renewed)
      return true
    }
    // Somebody wrote it: we ourselves in a try whose answer was lost, or another who took it.
    const lease = await this.#look()
    if (lease?.spec?.holderIdentity === identity) {
      this.#held = lease
      return false
    }
    this.#lose(`${lease?.spec?.holderIdentity || 'somebody'} has taken it`)
    return false
  }

  #lead(sentAt: number, lease: Lease | null): boolean {
    if (lease === null || this.#stopping.signal.aborted) return false
    this.#state = 'leading'
    this.#extend(sentAt, lease)
    this.#options.log.info({ lease: lease.metadata?.name, identity: this.#options.identity }, 'leading')
    this.#won.resolve(true)
    return true
  }

  /** Counted from before the request was sent: later than that nobody else counts from. */
  #extend(sentAt: number, lease: Lease): void {
    this.#until = writesUntil(sentAt, this.#options.config)
    this.#held = lease
    this.#sighting = sight(this.#sighting, viewOf(lease), this.#options.clock.now())
  }

  async #create(): Promise<Lease | null> {
    const { client, config } = this.#options
    const created = await client.createLease({ metadata: { name: config.name }, spec: this.#spec(0, null) })
    return created.kind === 'created' ? created.object : null
  }

  async #write(lease: Lease, transitions: number, taken: boolean): Promise<Lease | null> {
    const { client, config } = this.#options
    const acquired = taken ? null : (lease.spec?.acquireTime ?? null)
    const next = { metadata: lease.metadata ?? {}, spec: this.#spec(transitions, acquired) }
    const result = await client.replace(resources.leases, next, Math.max(config.retryMs, config.renewMs))
    return result.kind === 'changed' ? result.object : null
  }

  #spec(transitions: number, acquireTime: string | null): NonNullable<Lease['spec']> {
    const { config, identity } = this.#options
    const now = this.#microTime()
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(config.durationMs / 1_000),
      acquireTime: acquireTime ?? now,
      renewTime: now,
      leaseTransitions: transitions,
    }
  }

  async #release(held: Lease): Promise<void> {
    const { client, log } = this.#options
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: this.#microTime() }
    try {
      await client.replace(resources.leases, { metadata: held.metadata ?? {}, spec }, 2_000)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      log.warn({ error }, 'the lease is not given up; it ends by itself')
    }
  }

  /** As Kubernetes writes instants with microseconds; only people read it. */
  #microTime(): string {
    return new Date(this.#options.epochMs()).toISOString().replace('Z', '000Z')
  }
}

function viewOf(lease: Lease): LeaseView {
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = lease.spec ?? {}
  return {
    holder: holderIdentity ?? '',
    resourceVersion: versionOf(lease),
    durationMs: (leaseDurationSeconds ?? 0) * 1_000,
    transitions: leaseTransitions ?? 0,
  }
}
