/** What only the real bus can show: its first connection, hanging servers, long buckets, and what it logs when refused. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import { type Log, type LogFields, silentLog } from '#runtime/log.ts'
import { connectBus } from '#runtime/nats.ts'
import { ensureBuckets } from '#runtime/natsBuckets.ts'
import { findNatsServer, freePort, type NatsServer, startNatsServer } from './support/natsServer.ts'

const program = findNatsServer()
if (program === null)
  console.warn('the NATS client is not tested: no nats-server on PATH, PACELINE_NATS_SERVER is not set')

const payload = new Uint8Array([1])

test('a server that is not there ends the wait with a message that names the URL and no password', async () => {
  const url = `nats://me:url-secret@127.0.0.1:${await freePort()}`
  const options = { url, role: 'router', user: 'router', password: 'the-secret', name: 'x', log: silentLog } as const
  const failed = connectBus({ ...options, connectTimeoutMs: 400 })
  await expect(failed).rejects.toMatchObject({ code: 'bus-unavailable', retry: { kind: 'after' } })
  await expect(failed).rejects.toThrow(/no NATS server at nats:\/\/127\.0\.0\.1:\d+ within 0\.4 s/)
  await expect(failed).rejects.not.toThrow(/secret/)
})

describe.skipIf(program === null)('on a real nats-server', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNatsServer()
    const operator = await server.connect('operator')
    await ensureBuckets(operator)
    await operator.close()
  })
  afterAll(() => server.stop())

  test('a server that starts a little later is waited for', async () => {
    await server.kill()
    const connecting = server.connect('router')
    await sleep(300)
    await server.start()
    const bus = await connecting
    expect(bus.state).toBe('connected')
    await bus.close()
  })

  test('a refused subject is logged once with what to change', async () => {
    const { log, lines } = recordingLog()
    const bus = await server.connect('worker', { log })
    const subject = subjects.dispatch(WorkerId.parse('w2'))
    for (let i = 0; i < 3; i++) bus.publish(subject, payload)
    await bus.flush()
    await bus.close()
    expect(lines.filter(({ fields }) => fields['subject'] === subject)).toEqual([
      {
        fields: { operation: 'publish', subject, role: 'worker' },
        message: 'NATS refuses this subject to this role; contracts/permissions.ts lists what it may',
      },
    ])
  })

  test('a server that hangs is noticed within 4 s and the connection comes back when it moves again', async () => {
    const bus = await server.connect('router')
    const changes: { state: string; at: number }[] = []
    bus.onState((state) => changes.push({ state, at: performance.now() }))
    const frozenAt = performance.now()
    server.freeze()
    await until(() => changes.length === 1)
    expect(changes[0]).toMatchObject({ state: 'disconnected' })
    const { pingIntervalMs, pingsOutMax } = limits.nats
    expect((changes[0]?.at ?? 0) - frozenAt).toBeLessThan(pingIntervalMs * (pingsOutMax + 2))
    server.thaw()
    await until(() => bus.state === 'connected')
    await bus.flush()
    await bus.close()
  })

  test('a bucket of 3,000 keys is listed whole, through flow control', async () => {
    const worker = await server.connect('worker')
    const value = new Uint8Array(4_000)
    for (let i = 0; i < 3_000; i += 100)
      await Promise.all(Array.from({ length: 100 }, (_, j) => worker.put('workers', `w${i + j}`, value)))
    const router = await server.connect('router')
    const keys = new Set<string>()
    const state = { synced: false }
    await router.watch('workers', {
      entry: ({ key, value: given }) => {
        if (given?.length === value.length) keys.add(key)
      },
      synced: () => {
        state.synced = true
      },
    })
    await until(() => state.synced)
    expect(keys.size).toBe(3_000)
    await Promise.all([worker.close(), router.close()])
  })

  test('5 kills in a row: every time back within 5 s, with subscriptions and a fresh listing', async () => {
    const [worker, router] = [await server.connect('worker'), await server.connect('router')]
    const seen = { messages: 0, synced: 0 }
    router.subscribe(subjects.allReports, () => {
      seen.messages += 1
    })
    await router.watch('models', {
      entry: () => undefined,
      synced: () => {
        seen.synced += 1
      },
    })
    const recoveryMs: number[] = []
    for (let kill = 1; kill <= 5; kill++) {
      await until(() => seen.synced === kill)
      await server.kill()
      await until(() => router.state === 'disconnected' && worker.state === 'disconnected')
      await server.start()
      const upAt = performance.now()
      const before = seen.messages
      await until(() => publishReport(worker) && seen.messages > before)
      recoveryMs.push(performance.now() - upAt)
    }
    expect(Math.max(...recoveryMs)).toBeLessThan(5_000)
    await Promise.all([worker.close(), router.close()])
  })
})

function publishReport(bus: Bus): boolean {
  bus.publish('paceline.v1.report.d1.w1', payload)
  return true
}

async function until(condition: () => boolean, ms = 15_000): Promise<void> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${String(condition)}`)
    await sleep(5)
  }
}

function recordingLog(): { log: Log; lines: { fields: LogFields; message: string }[] } {
  const lines: { fields: LogFields; message: string }[] = []
  const record = (fields: LogFields, message: string) => void lines.push({ fields, message })
  const log: Log = { debug: record, info: record, warn: record, error: record, child: () => log }
  return { log, lines }
}
