/** Leaders over a fake API server; time is stepped by the tests where it decides. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LeaseConfig } from '#contracts/operatorConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { fastClock } from '#test/kubernetes/fastClock.ts'
import { eventually, type Stand, standOn } from '#test/kubernetes/stand.ts'
import { nextLeaseStep, sight, writesUntil } from './core/lease.ts'
import { Election } from './election.ts'

/** A lease of more than half a second: it is not to be lost because this machine is busy. */
const patient = fastClock(5)
const config = LeaseConfig.parse({ durationMs: 3_000, renewMs: 800, retryMs: 400, marginMs: 500 })

describe('the next step towards a lease', () => {
  const view = (resourceVersion: string, holder = 'other') => ({
    holder,
    resourceVersion,
    durationMs: 3_000,
    transitions: 4,
  })

  test('a follower counts from when it saw the lease change last, whatever the instants in it say', () => {
    const first = sight(null, view('1'), 1_000)
    const same = sight(first, view('1'), 3_999)
    expect(nextLeaseStep(same, 'me', 3_999)).toEqual({ kind: 'wait' })
    expect(nextLeaseStep(same, 'me', 4_000)).toEqual({ kind: 'take', transitions: 5 })
    const renewed = sight(same, view('2'), 3_999)
    expect(nextLeaseStep(renewed, 'me', 4_000)).toEqual({ kind: 'wait' })
  })

  test('a lease that is missing is made, one that was given up is taken at once, the own one is renewed', () => {
    expect(nextLeaseStep(sight(null, null, 0), 'me', 0)).toEqual({ kind: 'create' })
    expect(nextLeaseStep(sight(null, view('1', ''), 0), 'me', 0)).toEqual({ kind: 'take', transitions: 5 })
    expect(nextLeaseStep(sight(null, view('1', 'me'), 0), 'me', 0)).toEqual({ kind: 'renew', transitions: 4 })
  })

  test('a leader stops writing before a follower that saw its last renewal at once could take the lease', () => {
    const renewedAt = 10_000
    const taken = renewedAt + config.durationMs
    expect(writesUntil(renewedAt, config)).toBeLessThan(taken)
  })
})

describe('an election', () => {
  let server: FakeApiServer
  const stands: Stand[] = []
  const elections: Election[] = []
  beforeEach(async () => {
    server = await startFakeApiServer()
  })
  afterEach(async () => {
    for (const election of elections.splice(0)) await election.stop()
    for (const stand of stands.splice(0)) stand[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  })

  const stand = (identity: string, clock: Clock = fastClock(20)) => {
    const on = standOn(server, { clock })
    stands.push(on)
    const options = { client: on.client, config, identity, clock, epochMs: () => 0, random: () => 0.5, log: silentLog }
    const election = new Election(options)
    elections.push(election)
    const lost = { count: 0 }
    return { election, lost, won: election.run(() => (lost.count += 1)) }
  }
  const holder = () => (server.object('leases', config.name)?.['spec'] as { holderIdentity?: string })?.holderIdentity

  test('has one winner; when it gives up, the next one takes over at once', async () => {
    const first = stand('first')
    expect(await first.won).toBe(true)
    const second = stand('second')
    await eventually(
      () => second.election.holder === 'first',
      () => String(second.election.holder),
    )
    expect(second.election.remainingMs()).toBe(0)
    expect(() => second.election.assertOpen()).toThrow(/does not hold the lease/)
    await first.election.stop()
    expect(await second.won).toBe(true)
    expect(holder()).toBe('second')
    expect(first.lost.count).toBe(0)
  })

  test('goes on for as long as the leader renews, and never opens the gate for two', async () => {
    const [a, b] = [stand('a', patient), stand('b', patient)]
    await Promise.race([a.won, b.won])
    const before = server.requests.length
    await eventually(
      () => server.requests.length > before + 30,
      () => 'too few requests',
    )
    const leading = [a, b].filter(({ election }) => election.remainingMs() > 0)
    expect(leading).toHaveLength(1)
    expect([a.lost.count, b.lost.count]).toEqual([0, 0])
  })

  test('is lost by a leader that cannot renew, before another may take it', async () => {
    const first = stand('first')
    await first.won
    server.fault = ({ method }) => (method === 'PUT' ? { kind: 'status', status: 500 } : null)
    await eventually(
      () => first.lost.count === 1,
      () => first.election.state,
    )
    expect(first.election.state).toBe('lost')
    expect(() => first.election.assertOpen()).toThrow(/writes nothing/)
  })

  test('is lost by a leader that was frozen beyond its lease, with its first look at the clock', async () => {
    let frozenMs = 0
    const real = fastClock(20)
    const clock: Clock = { ...real, now: () => real.now() + frozenMs }
    const first = stand('first', clock)
    await first.won
    expect(first.election.remainingMs()).toBeGreaterThan(0)
    frozenMs = config.durationMs
    expect(() => first.election.assertOpen()).toThrow(/writes nothing/)
    await eventually(
      () => first.lost.count === 1,
      () => first.election.state,
    )
  })

  test('survives a renewal whose answer was lost', async () => {
    const first = stand('first', patient)
    await first.won
    let losses = 1
    server.fault = ({ method }) => (method === 'PUT' && losses-- > 0 ? { kind: 'lost' } : null)
    const before = server.requests.length
    await eventually(
      () => server.requests.length > before + 8,
      () => 'too few requests',
    )
    expect([first.election.state, first.lost.count]).toEqual(['leading', 0])
  })
})
