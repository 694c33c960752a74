/**
 * The real bus: one NATS connection per process, which never gives up.
 *
 * It reconnects for ever with back-off and jitter; subscriptions and KV watches come back by themselves. A message published
 * while disconnected is dropped here, at once: the client library would keep or lose it depending on the moment, and a
 * dispatch or delta that arrives seconds late is worse than one that never comes (its sender has asked again by then).
 * What is published in one turn of the event loop leaves in one write at its end: a write to the server costs as much as
 * everything else a request needs of the bus. `publish` keeps a reference to the payload until then: do not change it after the call.
 */
import { randomInt } from 'node:crypto'
import { jetstream } from '@nats-io/jetstream'
import { connect, errors, type ConnectionOptions, type NatsConnection } from 'nats'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { inboxPrefix, type Role } from '#contracts/permissions.ts'
import type { Bus, BusState, Subscription } from './bus.ts'
import { type Clock, delay, keepAlive, systemClock } from './clock.ts'
import { crashOnThrow } from './crashOnThrow.ts'
import type { Log } from './log.ts'
import { createKeyValue } from './natsKeyValue.ts'

export interface ConnectOptions {
  /** `nats://host:port`, `tls://host:port`; several separated by commas. */
  readonly url: string
  readonly role: Role
  readonly user: string
  readonly password: string
  /** Shown in the server's own monitoring. */
  readonly name: string
  readonly log: Log
  /** Certificate (PEM text) of the authority that signed the server's; switches TLS on. Null or absent: whatever the URL says. */
  readonly authority?: string | null
  readonly connectTimeoutMs?: number
}

export interface NatsBus extends Bus {
  readonly connection: NatsConnection
  /** Messages not sent because the connection was down. */
  readonly publishedWhileDisconnected: number
}

/** Connects, trying for `connectTimeoutMs`. Throws `Failure('bus-unavailable')` that names the server, never the password. */
export async function connectBus(options: ConnectOptions): Promise<NatsBus> {
  // Between two tries nothing else keeps a starting program alive.
  const waiting = keepAlive()
  const connection = await connectFirst(options, systemClock).finally(() => waiting.cancel())
  options.log.info({ server: connection.getServer(), user: options.user }, 'connected to NATS')
  return createBus(connection, options)
}

function createBus(connection: NatsConnection, options: ConnectOptions): NatsBus {
  const { log, role } = options
  const stateHandlers = new Set<(state: BusState) => void>()
  const status: { state: BusState; dropped: number } = { state: 'connected', dropped: 0 }
  const setState = (state: BusState) => {
    if (status.state === state || status.state === 'closed') return
    status.state = state
    for (const handler of stateHandlers) crashOnThrow(() => handler(state))
  }
  const onState = (handler: (state: BusState) => void): Subscription => {
    stateHandlers.add(handler)
    return { unsubscribe: () => void stateHandlers.delete(handler) }
  }
  const outgoing = new Outgoing(connection, () => status.state === 'connected')
  const assertOpen = () => {
    if (status.state === 'closed') throw new Failure('bus-unavailable', 'the connection to NATS is closed')
  }
  followStatus(connection, { setState, log, role })
  const keyValue = createKeyValue({
    jetstream: jetstream(connection, { timeout: limits.nats.requestTimeoutMs }),
    inboxPrefix: inboxPrefix(role),
    isConnected: () => status.state === 'connected',
    onState,
    log,
    clock: systemClock,
  })
  return {
    connection,
    get state() {
      return status.state
    },
    get publishedWhileDisconnected() {
      return status.dropped
    },
    publish(subject, payload) {
      if (status.state === 'connected') outgoing.add(subject, payload)
      else {
        assertOpen()
        status.dropped += 1
      }
    },
    subscribe(subject, handler) {
      assertOpen()
      return subscribe(connection, { subject, handler, log, role })
    },
    onState,
    watch(bucket, handlers) {
      assertOpen()
      return Promise.resolve(keyValue.watch(bucket, handlers))
    },
    // What was published before goes first: a worker's last words must not arrive after its registration is gone.
    put: outgoing.before(keyValue.put),
    remove: outgoing.before(keyValue.remove),
    flush() {
      outgoing.send()
      return status.state === 'connected' ? connection.flush().catch(toFailure) : Promise.reject(unavailable())
    },
    async close() {
      if (status.state === 'closed') return
      outgoing.send()
      const wasConnected = status.state === 'connected'
      setState('closed')
      stateHandlers.clear()
      if (wasConnected) await lastFlush(connection)
      await connection.close()
    },
  }
}

/** Messages of this turn of the event loop, in order. */
class Outgoing {
  readonly #connection: NatsConnection
  readonly #isConnected: () => boolean
  #messages: { subject: string; payload: Uint8Array }[] = []

  constructor(connection: NatsConnection, isConnected: () => boolean) {
    this.#connection = connection
    this.#isConnected = isConnected
  }

  add(subject: string, payload: Uint8Array): void {
    this.#messages.push({ subject, payload })
    if (this.#messages.length === 1) setImmediate(() => this.send())
  }

  before<Args extends unknown[], Result>(action: (...args: Args) => Result): (...args: Args) => Result {
    return (...args) => {
      this.send()
      return action(...args)
    }
  }

  /** What a break caught in between is lost, like anything on its way. */
  send(): void {
    if (this.#messages.length === 0) return
    const messages = this.#messages
    this.#messages = []
    if (!this.#isConnected()) return
    for (const { subject, payload } of messages) this.#connection.publish(subject, payload)
  }
}

function subscribe(
  connection: NatsConnection,
  options: {
    subject: string
    handler: (payload: Uint8Array, subject: string) => void
    log: Log
    role: Role
  },
): Subscription {
  const { subject, handler } = options
  // A subject without wildcards is known; reading it from each message would decode it each time.
  const hasWildcard = /[*>]/.test(subject)
  const subscription = connection.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) crashOnThrow(() => handler(message.data, hasWildcard ? message.subject : subject))
      // Refused subscriptions are logged by `followStatus`.
      else if (!(error instanceof errors.PermissionViolationError))
        options.log.error({ error, subject }, 'a subscription ended')
    },
  })
  return { unsubscribe: () => subscription.unsubscribe() }
}

async function connectFirst(options: ConnectOptions, clock: Clock): Promise<NatsConnection> {
  const { nats } = limits
  const timeoutMs = options.connectTimeoutMs ?? nats.connectTimeoutMs
  const startedAt = clock.now()
  for (let waitMs: number = nats.reconnectWaitMs; ; waitMs = Math.min(waitMs * 2, nats.reconnectWaitMsMax)) {
    try {
      return await connect(connectionOptions(options))
    } catch (cause) {
      if (cause instanceof errors.AuthorizationError) throw refusedUser(options, cause)
      if (clock.now() - startedAt + waitMs > timeoutMs) throw unreachable(options, timeoutMs, cause)
    }
    await delay(clock, waitMs)
  }
}

function connectionOptions(options: ConnectOptions): ConnectionOptions {
  const { nats } = limits
  return {
    servers: options.url.split(',').map((url) => url.trim()),
    user: options.user,
    pass: options.password,
    name: options.name,
    inboxPrefix: inboxPrefix(options.role),
    timeout: nats.dialTimeoutMs,
    maxReconnectAttempts: -1,
    // The library would give up after two refusals of the password; a server that restarts with an old file refuses for a while.
    ignoreAuthErrorAbort: true,
    pingInterval: nats.pingIntervalMs,
    maxPingOut: nats.pingsOutMax,
    noAsyncTraces: true,
    ...reconnectBackOff(),
    ...(options.authority ? { tls: { ca: options.authority } } : {}),
  }
}

/** The library asks for the wait several times per attempt, so the next wait is drawn once, when an attempt begins. */
function reconnectBackOff(): Pick<ConnectionOptions, 'reconnectDelayHandler' | 'reconnectToServer'> {
  const { reconnectWaitMs, reconnectWaitMsMax } = limits.nats
  // A pause this long after the last attempt means that it succeeded.
  const forgetAfterMs = 2 * (reconnectWaitMsMax + limits.nats.dialTimeoutMs)
  let waitMs: number = reconnectWaitMs
  let attempts = 0
  let attemptedAt = systemClock.now()
  return {
    reconnectDelayHandler: () => waitMs,
    reconnectToServer() {
      attempts = systemClock.now() - attemptedAt > forgetAfterMs ? 0 : attempts + 1
      attemptedAt = systemClock.now()
      const longest = Math.min(reconnectWaitMsMax, reconnectWaitMs * 2 ** Math.min(attempts, 10))
      waitMs = longest / 2 + randomInt(Math.ceil(longest / 2))
      return null
    },
  }
}

function followStatus(
  connection: NatsConnection,
  { setState, log, role }: { setState: (state: BusState) => void; log: Log; role: Role },
): void {
  const refused = new Set<string>()
  const onError = (error: Error) => {
    if (!(error instanceof errors.PermissionViolationError)) return log.warn({ error }, 'NATS reports an error')
    const { operation, subject } = error
    if (refused.has(subject) || refused.size > 100) return
    refused.add(subject)
    log.error(
      { operation, subject, role },
      'NATS refuses this subject to this role; contracts/permissions.ts lists what it may',
    )
  }
  const follow = async () => {
    for await (const event of connection.status()) {
      if (event.type === 'disconnect') {
        log.warn({ server: event.server }, 'disconnected from NATS')
        setState('disconnected')
      } else if (event.type === 'reconnect') {
        log.info({ server: event.server }, 'connected to NATS again')
        setState('connected')
      } else if (event.type === 'error') onError(event.error)
      else if (event.type === 'staleConnection') log.warn({}, 'NATS does not answer pings')
    }
    setState('closed')
  }
  void follow()
}

/** Bounded, because a server that hangs must not keep a process from ending. */
async function lastFlush(connection: NatsConnection): Promise<void> {
  const flushed = connection.flush().catch(() => undefined)
  const given = new AbortController()
  const patience = delay(systemClock, limits.nats.dialTimeoutMs, given.signal).catch(() => undefined)
  await Promise.race([flushed, patience])
  given.abort()
}

function unavailable(cause?: unknown): Failure {
  return new Failure('bus-unavailable', 'NATS cannot be reached at present', {
    retry: { kind: 'after', afterMs: limits.nats.reconnectWaitMsMax },
    cause,
  })
}

function toFailure(cause: unknown): never {
  throw unavailable(cause)
}

function refusedUser({ url, user }: ConnectOptions, cause: unknown): Failure {
  return new Failure(
    'bus-unavailable',
    `NATS at ${withoutSecret(url)} refuses user "${user}": wrong name or password`,
    {
      cause,
    },
  )
}

function unreachable({ url }: ConnectOptions, timeoutMs: number, cause: unknown): Failure {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Failure(
    'bus-unavailable',
    `no NATS server at ${withoutSecret(url)} within ${timeoutMs / 1_000} s (${reason}); start one or correct the URL`,
    { retry: { kind: 'after', afterMs: limits.nats.reconnectWaitMsMax }, cause },
  )
}

/** URLs may carry `user:password@`. */
function withoutSecret(url: string): string {
  return url.replaceAll(/\/\/[^/@,]*@/g, '//')
}
