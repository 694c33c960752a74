import { describe, expect, test } from 'vitest'
import { DispatchId, TenantId } from '#contracts/ids.ts'
import type { Dispatch } from '#contracts/messages.ts'
import { subjects } from '#contracts/subjects.ts'
import { delay } from '#runtime/clock.ts'
import { bushyTree } from './core/speculation/bushyTree.fixture.ts'
import type { Proposer } from './proposer.ts'
import { createSimulatedProposer } from './simulated/proposer.ts'
import { expectAllEnded, promptOf, recording, router, sampling, Stand, type StandOptions } from './worker.fixture.ts'

/** What the simulated draft proposes, with a wrong turn before each right one. */
const branching: Proposer = {
  method: 'draft',
  propose: async (requests) =>
    (await guesses.propose(requests)).map(({ key, tree: chain }, i) => {
      const wrong = (token: number) => (token === 300 ? 301 : 300)
      const tree = bushyTree(chain.tokens, wrong, requests[i]?.tokensMax ?? 0)
      return { key, method: 'draft', tree, confidence: tree.tokens.map(() => 0.5) }
    }),
  forget: () => undefined,
}
const guesses = createSimulatedProposer({ seed: 1, acceptance: 0.8, draftTokens: 6 })

describe('text does not depend on company', () => {
  const ask = (stand: Stand, from: number, more: Partial<Dispatch> = {}) =>
    stand.send({ work: promptOf(30 + from * 11, from), sampling: sampling({ seed: from, maxTokens: 24 }), ...more })

  async function alone(from: number): Promise<string> {
    const stand = new Stand({ prefixCacheMiB: 0 })
    const id = ask(stand, from)
    await stand.end(id)
    return stand.text(id)
  }

  test.each<[string, StandOptions]>([
    ['in a full batch', {}],
    ['with tiny prompt chunks', { promptChunkTokensMax: 3 }],
    ['with drafts that are mostly right', { simulated: { draftTokens: 4, acceptance: 0.9 } }],
    ['with drafts that are mostly wrong', { simulated: { draftTokens: 7, acceptance: 0.1 } }],
    ['with trees of drafts', { kvLayout: 'unified', proposers: [branching] }],
    [
      'with trees of drafts in a cache that must preempt',
      { kvLayout: 'unified', cellsMax: 220, proposers: [branching] },
    ],
    ['in a unified cache that must preempt', { kvLayout: 'unified', cellsMax: 220 }],
    ['without a prefix cache', { prefixCacheMiB: 0 }],
  ])('%s', async (_name, options) => {
    const expected = await Promise.all([0, 1, 2, 3, 4, 5].map(alone))
    const stand = new Stand({ slots: 6, ...options })
    const ids = [0, 1, 2, 3, 4, 5].map((from) => ask(stand, from))
    await stand.end(...ids)
    expect(ids.map((id) => stand.text(id))).toEqual(expected)
    // Once more: now prefixes are found.
    const again = [5, 3, 1, 0, 2, 4].map((from) => ask(stand, from))
    await stand.end(...again)
    expect(again.map((id) => stand.text(id))).toEqual([5, 3, 1, 0, 2, 4].map((from) => expected[from]))
    expectAllEnded(stand, [...ids, ...again])
  })

  test('at random arrival, with slots that come and go', async () => {
    const expected = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(alone))
    const { stand, steps } = recording({ slots: 5 })
    const ids: DispatchId[] = []
    for (const from of [0, 1, 2, 3, 4, 5, 6, 7]) {
      ids.push(ask(stand, from))
      await stand.clock.advance(30 + from * 25)
    }
    await stand.end(...ids)
    expect(ids.map((id) => stand.text(id))).toEqual(expected)
    const gaps = steps.filter((spans) => (spans.at(-1)?.slot ?? 0) - (spans[0]?.slot ?? 0) >= spans.length)
    expect(gaps.length).toBeLessThanOrEqual(steps.length / 20)
  })

  test('trees are verified where the cache has room for branches, and the results need not be reproducible', async () => {
    const treesIn = async (options: StandOptions) => {
      const { stand, steps } = recording({ proposers: [branching], ...options })
      const id = stand.send({ work: promptOf(30), sampling: sampling({ maxTokens: 40 }) })
      await stand.end(id)
      expectAllEnded(stand, [id])
      const spans = steps.flat()
      const { outcome } = stand.last(id) as { outcome: { usage: { draftTokens: number; acceptedTokens: number } } }
      expect(outcome.usage.draftTokens).toBe(
        spans.reduce((sum, { logitsForLast }) => sum + Math.max(0, logitsForLast - 1), 0),
      )
      const { acceptedTokens } = outcome.usage
      return { trees: spans.filter(({ parents }) => parents !== undefined).length, steps: steps.length, acceptedTokens }
    }
    const unified = await treesIn({ kvLayout: 'unified' })
    expect(unified.trees).toBeGreaterThan(unified.steps / 2)
    expect(unified.acceptedTokens).toBeGreaterThan(10)
    // Of a tree a chain takes the first children, which are all wrong.
    const chains = { trees: 0, acceptedTokens: 0 }
    expect(await treesIn({ kvLayout: 'split' })).toMatchObject(chains)
    expect(await treesIn({ kvLayout: 'unified', reproducible: true })).toMatchObject(chains)
  })

  test('preemption happens in a full unified cache and is counted', async () => {
    const stand = new Stand({ slots: 6, kvLayout: 'unified', cellsMax: 220 })
    const ids = [0, 1, 2, 3, 4, 5].map((from) => ask(stand, from))
    await stand.end(...ids)
    const counted = /vllm:num_preemptions_total\{[^}]*\} (\d+)/.exec(await stand.metrics.text())?.[1]
    expect(Number(counted)).toBeGreaterThan(0)
  })

  test('choice i of a request is what seed + i gives, and the prompt is computed once', async () => {
    const work = promptOf(100)
    const { stand, steps } = recording({ slots: 4, prefixCacheMiB: 0 })
    const id = stand.send({ work, choices: 3, sampling: sampling({ seed: 40 }) })
    await stand.end(id)
    const computed = steps.flat().reduce((sum, span) => sum + span.tokens.length, 0)
    expect(computed).toBeLessThan(100 + 3 * 20)
    for (const choice of [0, 1, 2]) {
      const single = new Stand()
      const one = single.send({ work, sampling: sampling({ seed: 40 + choice }) })
      await single.end(one)
      expect(stand.text(id, choice)).toBe(single.text(one))
    }
  })
})

describe('batches', () => {
  test('a long prompt holds running streams up for one chunk at most', async () => {
    const { stand, steps } = recording({ contextTokensMax: 1_024, promptChunkTokensMax: 64 })
    const streams = [0, 1, 2].map((from) =>
      stand.send({ work: promptOf(20, from), sampling: sampling({ maxTokens: 60 }) }),
    )
    await stand.clock.advance(200)
    const long = stand.send({ work: promptOf(800, 9) })
    await stand.end(...streams, long)
    const mixed = steps.filter((spans) => spans.length > 3)
    expect(mixed.length).toBeGreaterThan(10)
    for (const spans of mixed) expect(spans.reduce((sum, span) => sum + span.tokens.length, 0)).toBeLessThanOrEqual(67)
  })

  test('a finished sequence leaves no hole', async () => {
    const { stand, steps } = recording()
    const lengths = [60, 5, 60, 60]
    const ids = lengths.map((maxTokens, from) =>
      stand.send({ work: promptOf(20, from), sampling: sampling({ maxTokens }) }),
    )
    await stand.end(...ids)
    expect(steps.at(-1)?.map((span) => span.slot)).toEqual([0, 1, 2])
  })

  test('everything a step says to one router is one message', async () => {
    const stand = new Stand()
    const ids = [0, 1, 2, 3].map((from) => stand.send({ work: promptOf(20, from) }))
    await stand.end(...ids)
    const frames = stand.bus.published.filter(({ subject }) => subject === subjects.stream(router))
    expect(frames.length).toBeLessThanOrEqual(1 + 16 + 2)
  })

  test('a request that nobody reads before its end is told about rarely', async () => {
    const stand = new Stand()
    const id = stand.send({ deltaIntervalMs: 500, sampling: sampling({ maxTokens: 200 }) })
    await stand.end(id)
    expect(stand.tokens(id)).toHaveLength(200)
    expect(stand.of(id).length).toBeLessThan(10)
  })
})

describe('brief steps', () => {
  /** Computes what is brief before it returns, as llama.cpp does: the clock stands still, unless it is the slow step. */
  function holding(options: { stepMs: number; slowStep?: number }) {
    const brief: boolean[] = []
    /** Tokens chosen and not yet told, at the start of each brief step: of one request, every step chooses one. */
    const untold: number[] = []
    const stand: Stand = new Stand({
      simulated: { stepMs: options.stepMs, rowMs: 0, promptTokensPerSecond: 100 },
      wrap: (runner) => {
        const decode = runner.decode.bind(runner)
        runner.decode = async (spans, { isBrief } = { isBrief: false }) => {
          if (isBrief) untold.push(brief.length - tokensTold(stand))
          brief.push(isBrief)
          const result = await decode(spans)
          if (brief.length === options.slowStep) await delay(stand.process, 500)
          return result
        }
        return Object.assign(runner, { briefMsMax: 24 })
      },
    })
    // As the real bus does: what one turn publishes leaves in the next.
    const publish = stand.bus.publish.bind(stand.bus)
    stand.bus.publish = (subject, payload) => void setImmediate(() => publish(subject, payload))
    return { stand, brief, untold }
  }

  const tokensTold = (stand: Stand) =>
    stand
      .events()
      .reduce((sum, event) => sum + (event.kind === 'delta' ? (event.choices[0]?.tokens.length ?? 0) : 0), 0)

  test('are those without a prompt, and everything is told before one starts', async () => {
    const { stand, brief, untold } = holding({ stepMs: 5 })
    const id = stand.send({ sampling: sampling({ maxTokens: 40 }) })
    await stand.end(id)
    expect(brief[0]).toBe(false)
    expect(brief.slice(1)).toEqual(Array(brief.length - 1).fill(true))
    expect(Math.max(...untold)).toBe(0)
    expect(stand.tokens(id)).toHaveLength(40)
    expectAllEnded(stand, [id])
  })

  test('are none where they are expected to take long', async () => {
    const { stand, brief } = holding({ stepMs: 60 })
    const id = stand.send({ sampling: sampling({ maxTokens: 200 }) })
    await stand.end(id)
    expect(brief.slice(-20)).toEqual(Array(20).fill(false))
  })

  test('pause after one that took far longer than expected', async () => {
    const { stand, brief } = holding({ stepMs: 5, slowStep: 20 })
    const id = stand.send({ sampling: sampling({ maxTokens: 60 }) })
    await stand.end(id)
    expect(brief[19]).toBe(true)
    expect(brief.slice(20).some(Boolean)).toBe(false)
  })
})

describe('prefixes', () => {
  const chat = (...contents: string[]): Dispatch['work'] => ({
    kind: 'chat',
    messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })),
  })
  const long = 'the quick brown fox jumps over the lazy dog and '.repeat(4)

  test('the next turn of a chat computes only what is new', async () => {
    const stand = new Stand()
    const first = stand.send({ work: chat(long) })
    await stand.end(first)
    const second = stand.send({ work: chat(long, stand.text(first), 'go on') })
    await stand.end(second)
    const last = stand.last(second)
    if (last?.kind !== 'final' || last.outcome.kind !== 'completed') throw new Error('not completed')
    const { promptTokens, cachedTokens } = last.outcome.usage
    expect(cachedTokens).toBeGreaterThan(promptTokens - 40)
  })

  test('a state that had to leave its slot comes back from host memory', async () => {
    const stand = new Stand({ slots: 1 })
    const first = stand.send({ work: promptOf(200, 1) })
    await stand.end(first)
    const other = stand.send({ work: promptOf(200, 2) })
    await stand.end(other)
    const again = stand.send({ work: promptOf(200, 1) })
    await stand.end(again)
    expect(stand.last(again)).toMatchObject({ outcome: { usage: { cachedTokens: 199 } } })
    expect(stand.text(again)).toBe(stand.text(first))
  })

  test('the memory of saved states stays within its bound', async () => {
    const stand = new Stand({ slots: 2, contextTokensMax: 2_048, prefixCacheMiB: 1, simulated: { stepMs: 0 } })
    for (let from = 0; from < 20; from++) await stand.end(stand.send({ work: promptOf(1_000, from) }))
    await stand.clock.advance(300)
    const bytes = /paceline_worker_prefix_cache_bytes\{[^}]*\} (\d+)/.exec(await stand.metrics.text())?.[1]
    expect(Number(bytes)).toBeGreaterThan(0)
    expect(Number(bytes)).toBeLessThanOrEqual(1024 * 1024)
  })

  test('prompts that begin alike are computed once, although they come at the same time', async () => {
    const alone = new Stand({ slots: 1 })
    const expected = alone.send({ work: chat(`${long} ${long}`, 'yes', 'another question') })
    await alone.end(expected)
    const stand = new Stand()
    const first = stand.send({ work: chat(`${long} ${long}`, 'yes', 'one question') })
    const second = stand.send({ work: chat(`${long} ${long}`, 'yes', 'another question') })
    await stand.end(first)
    await stand.end(second)
    const last = stand.last(second)
    if (last?.kind !== 'final' || last.outcome.kind !== 'completed') throw new Error('not completed')
    const { promptTokens, cachedTokens } = last.outcome.usage
    expect(cachedTokens).toBeGreaterThan(promptTokens - 40)
    expect(stand.text(second)).toBe(alone.text(expected))
  })

  test('nobody waits for a prompt of another tenant', async () => {
    const stand = new Stand()
    const first = stand.send({ work: promptOf(200) })
    const other = stand.send({ work: promptOf(200), tenant: TenantId.parse('other') })
    await stand.end(first)
    await stand.end(other)
    expect(stand.last(other)).toMatchObject({ outcome: { usage: { cachedTokens: 0 } } })
  })

  test('reports name a prompt as soon as it is computed, while its answer goes on', async () => {
    const stand = new Stand()
    const first = stand.send({ work: chat(long), sampling: sampling({ maxTokens: 200 }) })
    await stand.clock.runUntil(() => stand.text(first) !== '', 10_000)
    expect(stand.worker.report()).toMatchObject({ slots: { busy: 1 } })
    expect(stand.worker.report().prefixes).toHaveLength(1)
  })

  test('another tenant gains nothing', async () => {
    const stand = new Stand()
    await stand.end(stand.send({ work: promptOf(200) }))
    const other = stand.send({ work: promptOf(200), tenant: TenantId.parse('other') })
    await stand.end(other)
    expect(stand.last(other)).toMatchObject({ outcome: { usage: { cachedTokens: 0 } } })
  })

  test('reports name the prompt with its answer, newest first', async () => {
    const stand = new Stand()
    const first = stand.send({ work: chat(long) })
    await stand.end(first)
    expect(stand.worker.report().prefixes).toHaveLength(2)
  })
})

describe('a cancel', () => {
  async function cancelAt(ms: number, options: StandOptions, dispatch: Partial<Dispatch>): Promise<void> {
    const stand = new Stand({ slots: 2, ...options })
    const others = [0, 1].map((from) => stand.send({ work: promptOf(30, from), sampling: sampling({ maxTokens: 20 }) }))
    const id = stand.send(dispatch)
    await stand.clock.advance(ms)
    stand.cancel(id)
    await stand.clock.runUntil(() => stand.isEnded(id), 200)
    expect(stand.isEnded(id)).toBe(true)
    await stand.end(...others)
    expectAllEnded(stand, [id, ...others])
    // Reports, registration and the look at the memory go on; nothing else may wait for a time.
    expect(stand.process.pending).toBeLessThanOrEqual(4)
    await stand.worker.stop()
    expect(stand.process.pending).toBe(0)
  }

  const phases = Array.from({ length: 25 }, (_, i) => i * 23)
  test.each(phases)('after %i ms frees everything the request held', async (ms) => {
    await cancelAt(ms, {}, { work: promptOf(300, 5), sampling: sampling({ maxTokens: 30 }) })
    await cancelAt(ms, { simulated: { draftTokens: 3 } }, { work: promptOf(100, 5), choices: 2 })
    await cancelAt(ms, { kvLayout: 'unified', cellsMax: 340 }, { work: promptOf(200, 5) })
  })

  test('breaks a step off that serves nobody else', async () => {
    const stand = new Stand({ contextTokensMax: 4_096, simulated: { promptTokensPerSecond: 100 } })
    const id = stand.send({ work: promptOf(4_000) })
    await stand.clock.advance(100)
    stand.cancel(id)
    await stand.clock.advance(1)
    expect(stand.last(id)).toMatchObject({ kind: 'final', outcome: { kind: 'cancelled' } })
  })

  test('that overtakes its dispatch is remembered', async () => {
    const stand = new Stand()
    const id = DispatchId.parse('early')
    stand.cancel(id)
    stand.send({ id })
    await stand.clock.settle()
    expect(stand.of(id).map((event) => event.kind)).toEqual(['accepted', 'final'])
    expect(stand.last(id)).toMatchObject({ outcome: { kind: 'cancelled', usage: { completionTokens: 0 } } })
  })
})

test('nothing is drafted while a lone row would have another result', async () => {
  const draftsOf = async (avoidsLoneRows: boolean) => {
    const stand = new Stand({
      simulated: { draftTokens: 4, acceptance: 0.9 },
      wrap: (runner) => Object.assign(runner, { avoidsLoneRows }),
    })
    const id = stand.send({ work: promptOf(30), sampling: sampling({ maxTokens: 24 }) })
    await stand.end(id)
    const last = stand.last(id)
    return last?.kind === 'final' && last.outcome.kind === 'completed' ? last.outcome.usage.draftTokens : null
  }
  expect(await draftsOf(false)).toBeGreaterThan(0)
  expect(await draftsOf(true)).toBe(0)
})
