import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { DispatchId } from '#contracts/ids.ts'
import type { Dispatch } from '#contracts/messages.ts'
import { encode } from '#runtime/messages.ts'
import { expectAllEnded, promptOf, sampling, Stand, workerId } from './worker.fixture.ts'

describe('a request', () => {
  test('is accepted within moments, streams its tokens and ends once with its usage', async () => {
    const stand = new Stand()
    const id = stand.send({ work: promptOf(20) })
    await stand.clock.advance(limits.worker.acceptGatherMs)
    expect(stand.of(id)).toMatchObject([{ kind: 'accepted', number: 0, promptTokens: 20 }])
    await stand.end(id)
    expect(stand.tokens(id)).toHaveLength(16)
    expect(stand.last(id)).toMatchObject({
      outcome: { kind: 'completed', usage: { promptTokens: 20, completionTokens: 16, cachedTokens: 0 } },
    })
    expectAllEnded(stand, [id])
  })

  test('that is sent twice is run once and told again what is known', async () => {
    const stand = new Stand()
    const id = stand.send({ work: promptOf(20) })
    await stand.end(id)
    const before = stand.of(id).length
    stand.send({ id, work: promptOf(20) })
    await stand.clock.advance(1_000)
    expect(stand.of(id).slice(before)).toEqual(stand.of(id).slice(0, before))
  })

  test('over the message limit arrives in parts', async () => {
    const stand = new Stand({ contextTokensMax: 512 })
    const id = stand.send({ work: { kind: 'completion', prompt: 'x'.repeat(700_000), echo: false } })
    await stand.clock.settle()
    expect(stand.of(id)).toMatchObject([{ kind: 'refused', failure: { code: 'context-exceeded', param: 'prompt' } }])
  })

  test('whose maximum does not fit behind its prompt is refused with both numbers', async () => {
    const stand = new Stand({ contextTokensMax: 128 })
    const id = stand.send({ work: promptOf(100), sampling: sampling({ maxTokens: 29 }) })
    await stand.clock.settle()
    expect(stand.last(id)).toMatchObject({ kind: 'refused', failure: { code: 'context-exceeded' } })
    expect(JSON.stringify(stand.last(id))).toContain(
      'you requested 129 tokens (100 in the prompt, 29 in the completion)',
    )
  })

  test('without a maximum gets the rest of the context and not one token more', async () => {
    const stand = new Stand({ contextTokensMax: 64 })
    const id = stand.send({ work: promptOf(40), sampling: sampling({ maxTokens: null }) })
    await stand.end(id)
    expect(stand.tokens(id)).toHaveLength(24)
    expect(stand.last(id)).toMatchObject({ choices: [{ finish: 'length' }] })
  })

  test.each<[string, Partial<Dispatch>, string]>([
    ['with an empty prompt', { work: { kind: 'completion', prompt: [], echo: false } }, 'invalid-request'],
    [
      'with a token outside the vocabulary',
      { work: { kind: 'completion', prompt: [99_999], echo: false } },
      'invalid-request',
    ],
    ['for embeddings that are switched off', { work: { kind: 'embedding', inputs: ['x'] } }, 'unsupported'],
    [
      'with a grammar the engine lacks',
      { sampling: sampling({ responseFormat: { type: 'json_object' } }) },
      'unsupported',
    ],
    ['with a bias for an unknown token', { sampling: sampling({ logitBias: [[99_999, 1]] }) }, 'invalid-request'],
  ])('%s is refused and says why', async (_name, dispatch, code) => {
    const stand = new Stand()
    const id = stand.send(dispatch)
    await stand.clock.settle()
    expect(stand.of(id)).toMatchObject([{ kind: 'refused', number: 0, failure: { code } }])
    expectAllEnded(stand, [id])
  })

  test('that echoes starts with its own prompt', async () => {
    const stand = new Stand()
    const id = stand.send({ work: { kind: 'completion', prompt: 'the word', echo: true } })
    await stand.end(id)
    expect(stand.text(id).startsWith('the word')).toBe(true)
  })

  test('stops before its stop string, wherever tokens cut it', async () => {
    const plain = new Stand()
    const whole = plain.send({ sampling: sampling({ maxTokens: 40 }) })
    await plain.end(whole)
    const text = plain.text(whole)
    const stop = text.slice(20, 26)
    const stand = new Stand()
    const id = stand.send({ sampling: sampling({ maxTokens: 40, stop: [stop] }) })
    await stand.end(id)
    expect(stand.text(id)).toBe(text.slice(0, text.indexOf(stop)))
    expect(stand.last(id)).toMatchObject({ choices: [{ finish: 'stop' }] })
  })

  test('whose deadline passes before its first token expires', async () => {
    const stand = new Stand({ slots: 1 })
    const first = stand.send({ sampling: sampling({ maxTokens: 100 }) })
    const late = stand.send({ deadlineMs: 50 })
    await stand.end(first, late)
    expect(stand.last(late)).toMatchObject({ kind: 'final', outcome: { kind: 'failed', failure: { code: 'expired' } } })
    expectAllEnded(stand, [first, late])
  })

  test('of higher priority takes the next free slot', async () => {
    const stand = new Stand({ slots: 2 })
    const ask = (maxTokens: number, priority: number) => stand.send({ priority, sampling: sampling({ maxTokens }) })
    const [short, long, low, high] = [ask(5, 0), ask(100, 0), ask(5, 0), ask(5, 5)]
    await stand.end(high)
    expect([short, long, low].map((id) => stand.isEnded(id))).toEqual([true, false, false])
    await stand.end(long, low)
    expectAllEnded(stand, [short, long, low, high])
  })
})

describe('bounds and faults', () => {
  test('beyond slots and waiting places requests are refused with a hint when to come back', async () => {
    const stand = new Stand({ slots: 2 })
    const ids = Array.from({ length: 6 }, () => stand.send())
    await stand.clock.settle()
    expect(ids.map((id) => stand.of(id)[0]?.kind)).toEqual([...Array<string>(4).fill('accepted'), 'refused', 'refused'])
    expect(stand.last(ids[5] as DispatchId)).toMatchObject({ failure: { code: 'refused', retry: { kind: 'after' } } })
    await stand.end(...ids)
    expectAllEnded(stand, ids)
  })

  test('messages that cannot be read are dropped', async () => {
    const stand = new Stand()
    for (const text of ['', '{', '{}', 'null', '[1]', '"x"', `{"id":"${'x'.repeat(300)}"}`])
      for (const kind of ['dispatch', 'cancel', 'resend', 'drain'] as const)
        stand.bus.deliver(kind, new TextEncoder().encode(text))
    const id = stand.send()
    await stand.end(id)
    expectAllEnded(stand, [id])
  })

  test.each([1, 2, 3])('steps that fail or give garbage end their requests clearly (seed %i)', async (seed) => {
    const faults = [{ kind: 'garbage' as const, probability: 0.05, amount: 1 }]
    const stand = new Stand({ simulated: { faults, seed, draftTokens: 2 } })
    const ids: DispatchId[] = []
    for (let i = 0; i < 30; i++) {
      ids.push(stand.send({ work: promptOf(100, i) }))
      await stand.clock.advance(60)
    }
    await stand.end(...ids)
    const outcomes = ids.map((id) => {
      const last = stand.last(id)
      if (last?.kind === 'final' && last.outcome.kind === 'failed') return last.outcome.failure.code
      return last?.kind === 'final' ? last.outcome.kind : last?.kind
    })
    expect(outcomes).toContain('completed')
    expect(outcomes).toContain('engine-fault')
    expect(outcomes.filter((outcome) => !['completed', 'engine-fault', 'refused'].includes(outcome ?? ''))).toEqual([])
    expectAllEnded(stand, ids)
  })

  test('told to refuse, it refuses', async () => {
    const stand = new Stand({ simulated: { faults: [{ kind: 'refuse', probability: 1, amount: 1 }] } })
    const id = stand.send()
    await stand.clock.settle()
    expect(stand.last(id)).toMatchObject({ kind: 'refused', failure: { code: 'refused' } })
  })

  test('an event that was lost comes again; an unknown request is declared lost', async () => {
    const stand = new Stand()
    const id = stand.send()
    await stand.end(id)
    const known = stand.of(id)
    stand.resend(id, 3)
    stand.resend(DispatchId.parse('unknown'), 5)
    await stand.clock.settle()
    expect(stand.of(id).slice(known.length)).toEqual(known.slice(3))
    expect(stand.last(DispatchId.parse('unknown'))).toMatchObject({
      number: 5,
      outcome: { kind: 'failed', failure: { code: 'worker-lost' } },
    })
  })
})

describe('embeddings', () => {
  test('come in order beside running streams, large answers in parts', async () => {
    const stand = new Stand({ embeddings: true })
    const stream = stand.send({ sampling: sampling({ maxTokens: 40 }) })
    const inputs = Array.from({ length: 256 }, (_, i) => `input number ${i}`)
    const id = stand.send({ work: { kind: 'embedding', inputs } })
    await stand.end(stream, id)
    const last = stand.last(id)
    if (last?.kind !== 'final' || last.outcome.kind !== 'completed') throw new Error('not completed')
    expect(last.outcome.embeddings).toHaveLength(256)
    expectAllEnded(stand, [stream, id])
  })

  test('can be cancelled between two slices', async () => {
    const stand = new Stand({ embeddings: true, simulated: { promptTokensPerSecond: 50 } })
    const id = stand.send({ work: { kind: 'embedding', inputs: Array<string>(200).fill('some words to embed') } })
    await stand.clock.advance(100)
    stand.cancel(id)
    await stand.end(id)
    expect(stand.last(id)).toMatchObject({ outcome: { kind: 'cancelled' } })
    expectAllEnded(stand, [id])
  })
})

describe('the end', () => {
  test('a drain refuses what is new, finishes what runs, and takes the registration away', async () => {
    const stand = new Stand()
    const running = stand.send({ sampling: sampling({ maxTokens: 50 }) })
    await stand.clock.advance(50)
    expect(stand.bus.registered.has(workerId)).toBe(true)
    stand.bus.deliver('drain', encode({ graceMs: 10_000 }))
    const late = stand.send()
    await stand.end(running, late)
    expect(stand.last(late)).toMatchObject({
      kind: 'refused',
      failure: { code: 'draining', retry: { kind: 'elsewhere' } },
    })
    expect(stand.last(running)).toMatchObject({ outcome: { kind: 'completed' } })
    await stand.worker.finished
    expect(stand.bus.registered.size).toBe(0)
    expect(stand.reports().at(-1)?.state).toBe('stopped')
    expect(stand.process.pending).toBe(0)
    expect(stand.bus.isSubscribed).toBe(false)
  })

  test('what has not finished within the grace is cancelled', async () => {
    const stand = new Stand({ contextTokensMax: 2_048 })
    const id = stand.send({ sampling: sampling({ maxTokens: 1_000 }) })
    await stand.clock.advance(50)
    void stand.worker.drain(200)
    await stand.clock.advance(1_000)
    expect(stand.last(id)).toMatchObject({ outcome: { kind: 'cancelled' } })
    await stand.worker.finished
  })

  test('an idle worker ends at once', async () => {
    const stand = new Stand()
    await stand.clock.advance(1_000)
    await stand.worker.stop()
    expect(stand.worker.state).toBe('stopped')
    expect(stand.process.pending).toBe(0)
  })
})

describe('reports', () => {
  test('come every 200 ms and soon after a change, with growing numbers', async () => {
    const stand = new Stand()
    await stand.clock.advance(1_000)
    const quiet = stand.reports().length
    expect(quiet).toBeGreaterThanOrEqual(5)
    expect(quiet).toBeLessThanOrEqual(7)
    const id = stand.send()
    await stand.clock.advance(limits.worker.reportCoalesceMs + 1)
    expect(stand.reports().at(-1)?.slots).toMatchObject({ busy: 1 })
    await stand.end(id)
    const numbers = stand.reports().map((report) => report.number)
    expect(numbers).toEqual(numbers.map((_, i) => i))
  })

  test('the proof of reproducible results runs in idle, and is kept', async () => {
    const kept = new Map<string, unknown>()
    const store = {
      read: (kind: string) => Promise.resolve(kept.get(kind) ?? null),
      write: (kind: string, _key: string, value: unknown) => Promise.resolve(void kept.set(kind, value)),
    }
    const stand = new Stand({ reproducible: true, store })
    const registered = () => new TextDecoder().decode(stand.bus.registered.get(workerId))
    expect(registered()).toContain('"reproducible":"proving"')
    const id = stand.send()
    await stand.end(id)
    await stand.clock.runUntil(() => kept.has('proof'), 60_000)
    expect(registered()).toContain('"reproducible":"proved"')
    await stand.end(stand.send({ work: promptOf(100) }))
    expectAllEnded(stand, [id])
    const second = new Stand({ reproducible: true, store })
    await second.clock.advance(10)
    expect(new TextDecoder().decode(second.bus.registered.get(workerId))).toContain('"reproducible":"proved"')
  })
})
