/**
 * A NATS-like network in memory, on a fake clock, with seeded faults: loss, duplication, delay, broken connections, server
 * restarts, partitions, killed and frozen processes.
 *
 * It keeps what NATS promises (at most once without duplication faults, in order per publisher, wildcards, KV watch) and, when
 * told to, breaks what NATS does not promise. Passes `test/behaviour/bus` together with `runtime/nats.ts`.
 */
import { Failure } from '#contracts/failure.ts'
import type { Bucket } from '#contracts/subjects.ts'
import type { Bus, BusState, KeyValueEntry, Subscription } from '#runtime/bus.ts'
import type { Clock } from '#runtime/clock.ts'
import { FakeBuckets, type Watcher } from './fakeBuckets.ts'
import { FakeLink, type LinkFaults } from './fakeLink.ts'
import type { Random } from './random.ts'
import { subjectMatches } from './subjectMatch.ts'

export interface NetworkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly faults?: Partial<LinkFaults>
}

export interface FakeNetwork {
  /** One process's connection. The name is free again once the bus is closed or the process killed. */
  connect(name: string): Bus
  /** May be changed at any time. */
  readonly faults: LinkFaults
  readonly buckets: FakeBuckets
  /** Breaks one client's connection; it is back after `forMs`. */
  disconnect(name: string, forMs: number): void
  /** Everybody is disconnected and back after `downMs` plus up to `spreadMs` each. */
  restartServer(options: { downMs: number; spreadMs: number; keepBuckets: boolean }): void
  /** Nothing passes for `forMs`. Unnoticed (late delivery at the end), or noticed after `noticeMs` as a disconnect. */
  partition(name: string, options: { forMs: number; noticeMs: number }): void
  /** As `kill -9` of the process: no state event, nothing more in or out. Halt its clock too. */
  kill(name: string): void
  /** As SIGSTOP: deliveries wait until `thaw`. Freeze its clock too. */
  freeze(name: string): void
  thaw(name: string): void
  /** Sees everything that anybody publishes, what is lost on its way too. */
  tap(see: (client: string, subject: string, payload: Uint8Array) => void): void
  /** Loses exactly the messages for which this says true. */
  lose(which: (client: string, subject: string, payload: Uint8Array) => boolean): void
  /** Subjects that this client is subscribed to now. */
  subscriptions(name: string): string[]
  readonly counts: { published: number; delivered: number; publishedWhileDisconnected: number }
  lost(): number
}

/** Requests to the server that get no answer are given up after this (the real client's default). */
const requestTimeoutMs = 5_000

export function createFakeNetwork({ clock, random, faults: given }: NetworkOptions): FakeNetwork {
  const faults: LinkFaults = { lossRate: 0, duplicateRate: 0, delayMs: { min: 0.1, max: 0.3 }, ...given }
  const server = new Server(clock, random, faults)
  const client = (name: string): FakeClient => {
    const found = server.clients.get(name)
    if (found === undefined) throw new Error(`no client ${name} on the fake network`)
    return found
  }
  const backAfter = (bus: FakeClient, ms: number) => clock.after(ms, () => bus.cameBack())
  return {
    faults,
    buckets: server.buckets,
    counts: server.counts,
    lost: () => server.lost(),
    connect: (name) => server.connect(name),
    disconnect(name, forMs) {
      client(name).wentAway()
      backAfter(client(name), forMs)
    },
    restartServer({ downMs, spreadMs, keepBuckets }) {
      if (!keepBuckets) server.buckets.clear()
      for (const bus of server.clients.values()) {
        bus.wentAway()
        backAfter(bus, downMs + random.next() * spreadMs)
      }
    },
    partition(name, { forMs, noticeMs }) {
      const bus = client(name)
      bus.hold()
      if (noticeMs < forMs) {
        clock.after(noticeMs, () => bus.wentAway())
        backAfter(bus, forMs)
      } else clock.after(forMs, () => bus.release())
    },
    kill: (name) => client(name).killed(),
    tap: (see) => void server.taps.push(see),
    lose(which) {
      server.isLost = which
    },
    freeze: (name) => client(name).freeze(),
    thaw: (name) => client(name).thaw(),
    subscriptions: (name) => server.clients.get(name)?.subjects() ?? [],
  }
}

class Server {
  readonly clients = new Map<string, FakeClient>()
  readonly counts = { published: 0, delivered: 0, publishedWhileDisconnected: 0 }
  readonly taps: ((client: string, subject: string, payload: Uint8Array) => void)[] = []
  isLost: (client: string, subject: string, payload: Uint8Array) => boolean = () => false
  readonly buckets: FakeBuckets
  readonly clock: Clock
  readonly random: Random
  readonly #faults: LinkFaults
  readonly #links: FakeLink[] = []

  constructor(clock: Clock, random: Random, faults: LinkFaults) {
    this.clock = clock
    this.random = random
    this.#faults = faults
    this.buckets = new FakeBuckets(clock)
  }

  connect(name: string): FakeClient {
    if (this.clients.has(name)) throw new Error(`a client named ${name} is already on the fake network`)
    const client = new FakeClient(name, this)
    this.clients.set(name, client)
    return client
  }

  createLink(): FakeLink {
    const link = new FakeLink(this.clock, this.random, () => this.#faults)
    this.#links.push(link)
    return link
  }

  route(subject: string, payload: Uint8Array): void {
    for (const client of this.clients.values()) client.offer(subject, payload)
  }

  lost(): number {
    return this.#links.reduce((sum, link) => sum + link.lost, 0)
  }
}

interface Handler {
  readonly subject: string
  readonly handle: (payload: Uint8Array, subject: string) => void
}

interface Watch {
  readonly watcher: Watcher
  readonly known: Set<string>
}

/** Waits of this client for an answer of the server: all fail when the connection breaks. */
type Pending = Set<(failure: Failure) => void>

class FakeClient implements Bus {
  readonly #name: string
  readonly #server: Server
  readonly #up: FakeLink
  readonly #down: FakeLink
  readonly #handlers = new Set<Handler>()
  readonly #stateHandlers = new Set<(state: BusState) => void>()
  readonly #watches = new Set<Watch>()
  readonly #pending: Pending = new Set()
  #state: BusState = 'connected'
  #frozen: (() => void)[] | null = null
  #gone = false

  constructor(name: string, server: Server) {
    this.#name = name
    this.#server = server
    this.#up = server.createLink()
    this.#down = server.createLink()
  }

  get state(): BusState {
    return this.#state
  }

  publish(subject: string, payload: Uint8Array): void {
    this.#assertOpen()
    if (this.#gone) return
    this.#server.counts.published += 1
    const copy = payload.slice()
    for (const see of this.#server.taps) see(this.#name, subject, copy)
    if (this.#state !== 'connected') {
      this.#server.counts.publishedWhileDisconnected += 1
      return
    }
    if (this.#server.isLost(this.#name, subject, copy)) return
    this.#up.send(() => this.#server.route(subject, copy), { reliable: false })
  }

  subscribe(subject: string, handle: (payload: Uint8Array, subject: string) => void): Subscription {
    this.#assertOpen()
    const handler = { subject, handle }
    this.#handlers.add(handler)
    return { unsubscribe: () => void this.#handlers.delete(handler) }
  }

  onState(handler: (state: BusState) => void): Subscription {
    this.#stateHandlers.add(handler)
    return { unsubscribe: () => void this.#stateHandlers.delete(handler) }
  }

  watch(bucket: Bucket, handlers: { entry(entry: KeyValueEntry): void; synced(): void }): Promise<Subscription> {
    this.#assertOpen()
    const known = new Set<string>()
    const tell: Watcher['tell'] = (message) =>
      this.#receive(() => {
        if (!this.#watches.has(watch)) return
        if ('synced' in message) return handlers.synced()
        const { key, value } = message.entry
        if (value === null && !known.delete(key)) return
        if (value !== null) known.add(key)
        handlers.entry(message.entry)
      })
    const watch: Watch = { watcher: { bucket, tell }, known }
    this.#watches.add(watch)
    this.#startWatch(watch)
    return Promise.resolve({
      unsubscribe: () => {
        this.#watches.delete(watch)
        this.#server.buckets.forget(watch.watcher)
      },
    })
  }

  put(bucket: Bucket, key: string, value: Uint8Array): Promise<void> {
    const copy = value.slice()
    return this.#request(() => this.#server.buckets.put(bucket, key, copy))
  }

  remove(bucket: Bucket, key: string): Promise<void> {
    return this.#request(() => this.#server.buckets.remove(bucket, key))
  }

  flush(): Promise<void> {
    return this.#request(() => {})
  }

  close(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve()
    this.#leave({ letThrough: true })
    this.#changeState('closed')
    return Promise.resolve()
  }

  // ------------------------------------------------------------ what the network does to a client

  subjects(): string[] {
    return [...this.#handlers].map(({ subject }) => subject).sort()
  }

  offer(subject: string, payload: Uint8Array): void {
    if (this.#state !== 'connected') return
    for (const handler of this.#handlers) {
      if (!subjectMatches(handler.subject, subject)) continue
      const deliver = () => {
        if (!this.#handlers.has(handler)) return
        this.#server.counts.delivered += 1
        handler.handle(payload.slice(), subject)
      }
      this.#down.send(() => this.#whenAwake(deliver), { reliable: false })
    }
  }

  wentAway(): void {
    if (this.#state !== 'connected') return
    this.#breakLinks({ letThrough: this.#server.random.chance(0.5) })
    this.#changeState('disconnected')
  }

  cameBack(): void {
    if (this.#state !== 'disconnected' || this.#gone) return
    this.#changeState('connected')
    for (const watch of this.#watches) this.#startWatch(watch)
  }

  hold(): void {
    this.#up.hold()
    this.#down.hold()
  }

  release(): void {
    this.#up.release()
    this.#down.release()
  }

  killed(): void {
    this.#gone = true
    this.#leave({ letThrough: this.#server.random.chance(0.5) })
    this.#stateHandlers.clear()
    this.#state = 'closed'
  }

  freeze(): void {
    this.#frozen ??= []
  }

  thaw(): void {
    const waiting = this.#frozen ?? []
    this.#frozen = null
    for (const run of waiting) run()
  }

  // ------------------------------------------------------------

  #assertOpen(): void {
    if (this.#state === 'closed' && !this.#gone) throw new Failure('bus-unavailable', 'the bus is closed')
  }

  #request(atServer: () => void): Promise<void> {
    if (this.#gone) return new Promise(() => {})
    if (this.#state !== 'connected') return Promise.reject(unavailable(`the connection is ${this.#state}`))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (failure: Failure) => {
      timer.cancel()
      this.#pending.delete(fail)
      reject(failure)
    }
    const timer = this.#server.clock.after(requestTimeoutMs, () => fail(unavailable('no answer in time')))
    this.#pending.add(fail)
    const answered = () => {
      if (!this.#pending.delete(fail)) return
      timer.cancel()
      resolve()
    }
    const arrived = () => {
      atServer()
      this.#receive(answered)
    }
    this.#up.send(arrived, { reliable: true })
    return promise
  }

  #startWatch(watch: Watch): void {
    if (this.#state !== 'connected') return
    this.#server.buckets.forget(watch.watcher)
    const list = () => {
      if (this.#watches.has(watch)) this.#server.buckets.list(watch.watcher, watch.known)
    }
    this.#up.send(list, { reliable: true })
  }

  #receive(action: () => void): void {
    if (this.#state !== 'connected') return
    this.#down.send(() => this.#whenAwake(action), { reliable: true })
  }

  #whenAwake(action: () => void): void {
    if (this.#gone) return
    if (this.#frozen === null) action()
    else this.#frozen.push(action)
  }

  #changeState(state: BusState): void {
    this.#state = state
    for (const handler of this.#stateHandlers) this.#whenAwake(() => handler(state))
  }

  #breakLinks(options: { letThrough: boolean }): void {
    this.#up.break(options)
    this.#down.break({ letThrough: false })
    for (const watch of this.#watches) this.#server.buckets.forget(watch.watcher)
    for (const fail of this.#pending) if (!this.#gone) fail(unavailable('the connection broke'))
  }

  #leave(options: { letThrough: boolean }): void {
    this.#breakLinks(options)
    this.#handlers.clear()
    this.#watches.clear()
    this.#frozen = null
    this.#server.clients.delete(this.#name)
  }
}

function unavailable(why: string): Failure {
  return new Failure('bus-unavailable', `NATS cannot be reached: ${why}`, { retry: { kind: 'after', afterMs: 1_000 } })
}
