/**
 * Each role can do its work on a real nats-server, and is refused everything else. What a role may is also tried by the
 * behaviour suite of the bus; here stands what it must not.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { PermissionViolationError } from 'nats'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inboxPrefix, permissions, type Role } from '#contracts/permissions.ts'
import { buckets } from '#contracts/subjects.ts'
import { connectBus, type NatsBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { silentLog } from '#runtime/log.ts'
import { findNatsServer, type NatsServer, startNatsServer } from './support/natsServer.ts'

const program = findNatsServer()
if (program === null)
  console.warn('permissions are not tested: no nats-server on PATH, PACELINE_NATS_SERVER is not set')

const root = 'paceline.v1'
const api = '$JS.API'
const stream = (bucket: string) => `KV_${bucket}`

/** What a role must not say, beyond everything that only others may. */
const attempts: Record<Role, { publish: string[]; subscribe: string[] }> = {
  operator: {
    publish: [
      `${root}.worker.w1.dispatch`,
      `${root}.worker.w1.cancel`,
      `${root}.router.r1.stream`,
      `${root}.report.d1.w1`,
      `${root}.router-report.r1`,
      `${api}.STREAM.DELETE.${stream(buckets.models)}`,
      `${api}.STREAM.CREATE.other`,
      `${api}.ACCOUNT.PURGE.x`,
    ],
    subscribe: [`${root}.router.*.stream`, `${root}.worker.*.dispatch`, `${root}.>`, '>', '_INBOX_router.>'],
  },
  router: {
    publish: [
      ...Object.values(buckets).map((bucket) => `$KV.${bucket}.x`),
      ...Object.values(buckets).map((bucket) => `${api}.STREAM.CREATE.${stream(bucket)}`),
      ...Object.values(buckets).map((bucket) => `${api}.STREAM.PURGE.${stream(bucket)}`),
      ...Object.values(buckets).map((bucket) => `${api}.STREAM.MSG.GET.${stream(bucket)}`),
      `${api}.INFO`,
      `${api}.STREAM.DELETE.${stream(buckets.keys)}`,
      `${api}.STREAM.MSG.DELETE.${stream(buckets.keys)}`,
      `${root}.worker.w1.drain`,
      `${root}.router.r1.stream`,
      `${root}.report.d1.w1`,
      '_INBOX_worker.x',
      '_INBOX_operator.x',
      '$SYS.REQ.SERVER.PING',
    ],
    subscribe: ['>', `${root}.>`, `${root}.worker.*.*`, '$KV.>', '_INBOX.>', '_INBOX_operator.>', '_INBOX_worker.>'],
  },
  worker: {
    publish: [
      ...[buckets.models, buckets.routes, buckets.keys].map((bucket) => `$KV.${bucket}.x`),
      // What its pair asks for it follows in the first of them.
      ...[buckets.routes, buckets.keys, buckets.workers].map((bucket) => `${api}.CONSUMER.CREATE.${stream(bucket)}.c`),
      ...Object.values(buckets).map((bucket) => `${api}.DIRECT.GET.${stream(bucket)}`),
      `${api}.STREAM.INFO.${stream(buckets.keys)}`,
      `${api}.INFO`,
      `${api}.STREAM.DELETE.${stream(buckets.workers)}`,
      `${root}.worker.w2.dispatch`,
      `${root}.worker.w2.cancel`,
      `${root}.worker.w2.drain`,
      `${root}.router-report.r1`,
      '_INBOX_router.x',
      '_INBOX_operator.x',
    ],
    subscribe: ['>', `${root}.>`, `${root}.router.*.stream`, `${root}.report.>`, '$KV.>', '_INBOX_router.>'],
  },
}
const roles = Object.keys(permissions) as Role[]

describe.skipIf(program === null)('on a real nats-server', () => {
  let server: NatsServer
  const buses = new Map<Role, Watched>()
  const of = (role: Role): Watched => {
    const found = buses.get(role)
    if (found === undefined) throw new Error(`no connection as ${role}`)
    return found
  }
  beforeAll(async () => {
    server = await startNatsServer()
    for (const role of roles) buses.set(role, watchRefusals(await server.connect(role)))
    await ensureBuckets(of('operator').bus)
  })
  afterAll(async () => {
    await Promise.all([...buses.values()].map(({ bus }) => bus.close()))
    await server.stop()
  })

  test.each(roles.flatMap((role) => attempts[role].publish.map((subject) => [role, subject] as const)))(
    '%s must not publish %s',
    async (role, subject) => {
      expect(await refusedPublish(of(role), subject)).toBe(true)
    },
  )

  test.each(roles.flatMap((role) => attempts[role].subscribe.map((subject) => [role, subject] as const)))(
    '%s must not subscribe to %s',
    async (role, subject) => {
      expect(await refusedSubscribe(of(role), subject)).toBe(true)
    },
  )

  test.each(roles.flatMap((role) => permissions[role].publish.map((subject) => [role, subject] as const)))(
    '%s may publish %s',
    async (role, subject) => {
      // Only the server's check is of interest: an empty request is malformed and changes nothing.
      expect(await refusedPublish(of(role), subject.replaceAll('*', 'x').replace(/>$/, 'x'))).toBe(false)
    },
  )

  test.each(roles)('%s gets answers in its own inbox only', async (role) => {
    expect(await refusedSubscribe(of(role), `${inboxPrefix(role)}.>`)).toBe(false)
    for (const other of roles.filter((name) => name !== role))
      expect(await refusedSubscribe(of(role), `${inboxPrefix(other)}.>`)).toBe(true)
  })

  test('a wrong password is refused at once, and the message names the user and no secret', async () => {
    const url = server.url.replace('nats://', 'nats://someone:url-secret@')
    const failed = connectBus({
      url,
      role: 'router',
      user: 'router',
      password: 'wrong-secret',
      name: 'x',
      log: silentLog,
    })
    await expect(failed).rejects.toMatchObject({ code: 'bus-unavailable' })
    await expect(failed).rejects.toThrow(/refuses user "router"/)
    await expect(failed).rejects.not.toThrow(/secret/)
  })
})

/** One bus and every subject that the server has refused to it. */
interface Watched {
  readonly bus: NatsBus
  readonly refused: Set<string>
}

function watchRefusals(bus: NatsBus): Watched {
  const refused = new Set<string>()
  const read = async () => {
    for await (const event of bus.connection.status())
      if (event.type === 'error' && event.error instanceof PermissionViolationError) refused.add(event.error.subject)
  }
  void read()
  return { bus, refused }
}

async function refusedPublish({ bus, refused }: Watched, subject: string): Promise<boolean> {
  refused.clear()
  bus.publish(subject, new Uint8Array(0))
  await answered(bus)
  return refused.has(subject)
}

async function refusedSubscribe({ bus, refused }: Watched, subject: string): Promise<boolean> {
  refused.clear()
  bus.subscribe(subject, () => undefined)
  await answered(bus)
  return refused.has(subject)
}

/** The server answers in order: what it refuses comes before the answer to the ping. */
async function answered(bus: NatsBus): Promise<void> {
  await bus.flush()
  await turn()
}
