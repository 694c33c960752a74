/** The client against the fake API server over real HTTP. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { type Stand, standOn } from '#test/kubernetes/stand.ts'
import type { WriteGate } from './client.ts'
import { resources } from './core/objects.ts'

let server: FakeApiServer
let stand: Stand
beforeEach(async () => {
  server = await startFakeApiServer()
  stand = standOn(server)
})
afterEach(async () => {
  stand[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

const map = (name: string) => ({ metadata: { name }, data: { a: '1' } })

describe('a request', () => {
  test('that the server refuses for the moment is tried again, at most so often', async () => {
    let refusals = 3
    server.fault = () => (refusals-- > 0 ? { kind: 'status', status: 429, retryAfterSeconds: 1 } : null)
    expect((await stand.client.create(resources.configMaps, map('one'))).kind).toBe('created')
    expect(server.requests).toHaveLength(4)
    server.fault = () => ({ kind: 'status', status: 500 })
    await expect(stand.client.get(resources.configMaps, 'one')).rejects.toMatchObject({ code: 'cluster-unavailable' })
    expect(server.requests).toHaveLength(8)
  })

  test('whose answer is lost is repeated, and the repeat finds its own work', async () => {
    let losses = 1
    server.fault = () => (losses-- > 0 ? { kind: 'lost' } : null)
    expect(await stand.client.create(resources.configMaps, map('one'))).toEqual({ kind: 'exists' })
    expect(server.objects('configmaps')).toHaveLength(1)
  })

  test('that is forbidden is not repeated, and its failure says what to change', async () => {
    server.fault = () => ({ kind: 'status', status: 403 })
    await expect(stand.client.apply(resources.services, map('one'))).rejects.toThrow(/403.*Role/)
    expect(server.requests).toHaveLength(1)
  })

  test('in conflict is an outcome, never a repeat', async () => {
    const { metadata } = server.put('configmaps', map('one'))
    server.put('configmaps', { ...map('one'), data: {} })
    const stale = { metadata: { resourceVersion: metadata.resourceVersion }, data: { b: '2' } }
    expect(await stand.client.merge(resources.configMaps, 'one', stale)).toEqual({ kind: 'conflict' })
    expect(await stand.client.merge(resources.configMaps, 'none', {})).toEqual({ kind: 'absent' })
    expect(server.requests).toHaveLength(2)
  })

  test('to remove one of two with the same name removes that one only', async () => {
    const { metadata } = server.put('configmaps', map('one'))
    expect(await stand.client.remove(resources.configMaps, 'one', { uid: 'another' })).toEqual({ kind: 'absent' })
    expect(server.objects('configmaps')).toHaveLength(1)
    expect((await stand.client.remove(resources.configMaps, 'one', { uid: metadata.uid })).kind).toBe('removing')
    expect(await stand.client.remove(resources.configMaps, 'one')).toEqual({ kind: 'absent' })
  })

  test('gets fresh credentials once when the old ones are refused', async () => {
    let refused = false
    server.fault = () => {
      if (refused) return null
      refused = true
      return { kind: 'status', status: 401 }
    }
    expect(await stand.client.get(resources.configMaps, 'one')).toBeNull()
    expect(server.requests).toHaveLength(2)
  })
})

describe('the gate', () => {
  test('is looked at right before each write goes out, repeats included, and never for reads', async () => {
    let open = true
    const gate: WriteGate = {
      assertOpen() {
        if (!open) throw new Failure('lease-lost', 'closed')
      },
      remainingMs: () => 10_000,
    }
    using gated = standOn(server, { gate })
    server.fault = ({ method }) => {
      if (method !== 'POST') return null
      open = false
      return { kind: 'status', status: 500 }
    }
    await expect(gated.client.create(resources.configMaps, map('one'))).rejects.toMatchObject({ code: 'lease-lost' })
    expect(server.writes()).toHaveLength(1)
    await expect(gated.client.remove(resources.configMaps, 'one')).rejects.toMatchObject({ code: 'lease-lost' })
    expect(server.writes()).toHaveLength(1)
    expect(await gated.client.get(resources.configMaps, 'one')).toBeNull()
  })

  test('that closes while the connection is made keeps the write back', async () => {
    let looks = 0
    const gate: WriteGate = {
      assertOpen() {
        // Open when the write is decided, closed when its bytes are about to go out.
        looks += 1
        if (looks === 2) throw new Failure('lease-lost', 'closed')
      },
      remainingMs: () => 10_000,
    }
    using gated = standOn(server, { gate })
    await expect(gated.client.create(resources.configMaps, map('one'))).rejects.toMatchObject({ code: 'lease-lost' })
    expect(server.requests).toEqual([])
  })

  test('bounds a write by what is left of the lease', async () => {
    const gate: WriteGate = { assertOpen: () => undefined, remainingMs: () => 400 }
    using gated = standOn(server, { gate })
    // The server takes its time: longer than the lease.
    server.fault = ({ method }) => (method === 'POST' ? { kind: 'hang' } : null)
    await expect(gated.client.create(resources.configMaps, map('one'))).rejects.toThrow(/within 400 ms/)
  })
})
