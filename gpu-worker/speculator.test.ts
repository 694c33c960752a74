import { describe, expect, test, vi } from 'vitest'
import { DeploymentName, Revision } from '#contracts/ids.ts'
import { type ModelRecord, WorkerRecord } from '#contracts/records.ts'
import type { Speculation } from '#contracts/resources/modelDeployment.ts'
import { silentLog } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import type { Proposal, ProposalRequest } from './core/speculation/proposer.ts'
import type { Proposer } from './proposer.ts'
import { lawOf } from './core/speculation/law.ts'
import { chainOf } from './core/speculation/tokenTree.ts'
import { expectAllEnded, promptOf, recording, sampling, Stand, type StandOptions, workerId } from './worker.fixture.ts'

const drafting: StandOptions = { simulated: { draftTokens: 4, acceptance: 0.8 } }

async function textWithout(): Promise<string> {
  const stand = new Stand()
  const id = stand.send({ work: promptOf(20) })
  await stand.end(id)
  return stand.text(id)
}

const proposing = (propose: Proposer['propose']): Proposer => ({ method: 'ngram', propose, forget: () => undefined })
const answering = (make: (request: ProposalRequest) => Partial<Proposal>) =>
  proposing((requests) =>
    requests.map((request) => ({
      key: request.key,
      method: 'ngram',
      tree: chainOf([300]),
      confidence: [0.5],
      ...make(request),
    })),
  )

const noLaw = { tokens: Int32Array.of(300), weights: Float64Array.of(Number.NaN) }

describe('a proposer that fails or answers nonsense is dropped, never the request', () => {
  test.each<[string, Proposer]>([
    ['throws', proposing(() => Promise.reject(new Error('it broke')))],
    [
      'throws at once',
      proposing(
        vi.fn<Proposer['propose']>().mockImplementation(() => {
          throw new Error('it broke')
        }),
      ),
    ],
    ['answers nothing', proposing(() => [])],
    ['answers for somebody else', answering(({ key }) => ({ key: key + 1 }))],
    ['answers a token that does not exist', answering(() => ({ tree: chainOf([1_000_000]) }))],
    ['answers a token that is no number', answering(() => ({ tree: chainOf([Number.NaN]) }))],
    [
      'answers too much',
      answering(() => ({ tree: chainOf(Array<number>(99).fill(300)), confidence: Array<number>(99).fill(1) })),
    ],
    ['answers a node before its parent', answering(() => ({ tree: { tokens: [300], parents: [0], laws: null } }))],
    ['answers draws of a law that holds no number', answering(() => ({ tree: chainOf([300], [noLaw]) }))],
    ['answers without confidence', answering(() => ({ confidence: [] }))],
  ])('%s', async (_name, proposer) => {
    const propose = vi.spyOn(proposer, 'propose')
    const error = vi.spyOn(silentLog, 'error')
    const stand = new Stand({ proposers: [proposer] })
    const id = stand.send({ work: promptOf(20) })
    await stand.end(id)
    expect(stand.text(id)).toBe(await textWithout())
    expect(propose).toHaveBeenCalledTimes(1)
    expect(error).toHaveBeenCalledOnce()
    error.mockRestore()
    expect(await stand.metrics.text()).toMatch(/paceline_worker_proposers_dropped_total\{[^}]*method="ngram"\} 1/)
    expect(registered(stand).speculation).toMatchObject({ proposers: [], dropped: [{ proposer: 'ngram' }] })
    expectAllEnded(stand, [id])
  })
})

describe('a draft model gives way to requests', () => {
  const mib = 2 ** 20
  const guess = answering(({ tokens }) => ({ method: 'draft', tree: chainOf(tokens.slice(-1)) }))
  const draftModel = (propose: Proposer['propose']) =>
    ({
      method: 'draft',
      propose: vi.fn(propose),
      forget: () => undefined,
      close: vi.fn(),
    }) satisfies Proposer
  const pressed = (draft: Proposer) => {
    const memory = { availableBytes: 4_096 * mib, boundBy: 'control group' as const }
    const stand = new Stand({
      proposers: [draft],
      speculation: { controller: 'fixed' },
      readMemory: () => Promise.resolve({ ...memory }),
    })
    return { stand, memory, id: stand.send({ work: promptOf(20), sampling: sampling({ maxTokens: 440 }) }) }
  }

  test('when memory runs out in the middle of an answer, which stays what it was', async () => {
    const draft = draftModel((requests) => guess.propose(requests))
    const { stand, memory, id } = pressed(draft)
    await stand.clock.advance(2_500)
    expect(registered(stand).speculation).toMatchObject({ proposers: ['draft'], dropped: [] })
    expect(await stand.metrics.text()).toMatch(/paceline_worker_memory_available_bytes\{[^}]*\} 4294967296/)
    memory.availableBytes = 100 * mib
    await stand.clock.advance(2_000)
    expect(draft.close).toHaveBeenCalledOnce()
    expect(registered(stand).speculation).toMatchObject({
      proposers: [],
      dropped: [
        { proposer: 'draft', reason: 'DraftMemory', message: expect.stringContaining('100 MiB are left') as string },
      ],
    })
    expect(await stand.metrics.text()).toMatch(/paceline_worker_proposers_dropped_total\{[^}]*method="draft"\} 1/)
    const asked = draft.propose.mock.calls.length
    expect(asked).toBeGreaterThan(10)
    // There is room again: it was closed for good.
    memory.availableBytes = 4_096 * mib
    await stand.end(id)
    expect(draft.propose.mock.calls.length).toBe(asked)
    const plain = new Stand()
    const same = plain.send({ work: promptOf(20), sampling: sampling({ maxTokens: 440 }) })
    await plain.end(same)
    expect(stand.text(id)).toBe(plain.text(same))
    expectAllEnded(stand, [id])
  })

  test('and is freed only once it has answered', async () => {
    const answer = Promise.withResolvers<void>()
    const draft = draftModel(async (requests) => {
      if (draft.propose.mock.calls.length === 3) await answer.promise
      return guess.propose(requests)
    })
    const { stand, memory, id } = pressed(draft)
    await stand.clock.advance(1_900)
    expect(draft.propose).toHaveBeenCalledTimes(3)
    memory.availableBytes = 0
    await stand.clock.advance(500)
    expect(registered(stand).speculation).toMatchObject({ proposers: [], dropped: [{ reason: 'DraftMemory' }] })
    expect(draft.close).not.toHaveBeenCalled()
    answer.resolve()
    await stand.end(id)
    expect(draft.close).toHaveBeenCalledOnce()
    expectAllEnded(stand, [id])
  })
})

test('proposals that come later are waited for, and change nothing', async () => {
  const guess = answering(({ tokens }) => ({ tree: chainOf(tokens.slice(-1)) }))
  const later = proposing((requests) => Promise.resolve(guess.propose(requests)))
  const stand = new Stand({ proposers: [later] })
  const id = stand.send({ work: promptOf(20) })
  await stand.end(id)
  expect(stand.text(id)).toBe(await textWithout())
  expect(await counter(stand, 'num_drafts_total')).toBeGreaterThan(0)
})

describe('draws', () => {
  const law = lawOf(Array.from({ length: 1_000 }, (_, token) => (token < 300 ? 0 : 1)))
  const drawing = () => {
    const asked: (ProposalRequest['drawing'] | null)[] = []
    const proposer = answering(({ drawing: wanted = null, tokensMax }) => {
      asked.push(wanted)
      const tokens = Array.from({ length: Math.min(3, tokensMax) }, (_, i) => 300 + i)
      return {
        tree: chainOf(tokens, wanted?.kind === 'own-chance' ? tokens.map(() => law) : null),
        confidence: tokens.map(() => 0.01),
      }
    })
    return {
      asked,
      ...recording({ proposers: [proposer], speculation: { controller: 'threshold', draftTokensMax: 3 } }),
    }
  }
  const rowsOf = (steps: readonly (readonly { readonly logitsForLast: number }[])[]) =>
    Math.max(...steps.flat().map(({ logitsForLast }) => logitsForLast))

  test('are asked for where the client named no seed, and are verified whole', async () => {
    const { stand, steps, asked } = drawing()
    await stand.end(stand.send({ work: promptOf(20), sampling: sampling({ seedDrawn: true, temperature: 0.7 }) }))
    const processing = { temperature: 0.7, topK: 0, minP: 0, topP: 1 }
    for (const wanted of asked) expect(wanted).toEqual({ kind: 'own-chance', processing })
    expect(rowsOf(steps)).toBe(4)
  })

  test.each([
    ['a seed: what wins by its noise', { seedDrawn: false, temperature: 0.7 }, 'same-noise'],
    ['no temperature: the likeliest tokens', { seedDrawn: true, temperature: 0 }, undefined],
  ])('are not where there is %s are, cut by their confidence', async (_, how, kind) => {
    const { stand, steps, asked } = drawing()
    await stand.end(stand.send({ work: promptOf(20), sampling: sampling(how) }))
    expect(new Set(asked.map((wanted) => wanted?.kind))).toEqual(new Set([kind]))
    expect(rowsOf(steps)).toBe(1)
  })
})

test('nothing is drafted past the end of an answer or of the context', async () => {
  const { stand, steps } = recording({ ...drafting, contextTokensMax: 64 })
  const ids = [
    stand.send({ work: promptOf(20), sampling: sampling({ maxTokens: 3 }) }),
    stand.send({ work: promptOf(50, 1), sampling: sampling({ maxTokens: null }) }),
  ]
  await stand.end(...ids)
  for (const span of steps.flat()) expect(span.position + span.tokens.length).toBeLessThanOrEqual(64)
  expect(stand.tokens(ids[0] ?? ('' as never))).toHaveLength(3)
})

test('a request that ends earlier than its neighbour drafts on beside it, and the counters know nothing of that', async () => {
  const stand = new Stand({ ...drafting, speculation: { controller: 'fixed', draftTokensMax: 4 } })
  const ids = [3, 40].map((maxTokens, from) =>
    stand.send({ work: promptOf(20, from), sampling: sampling({ maxTokens }) }),
  )
  await stand.end(...ids)
  const drafted = ids.map((id) => {
    const { outcome } = stand.last(id) as { outcome: { usage: { draftTokens: number } } }
    return outcome.usage.draftTokens
  })
  expect(await counter(stand, 'num_draft_tokens_total')).toBe(drafted.reduce((sum, tokens) => sum + tokens, 0))
})

test('drafts give way before a sequence loses its cells', async () => {
  const stand = new Stand({ ...drafting, kvLayout: 'unified', cellsMax: 90, slots: 2 })
  const ids = [0, 1].map((from) => stand.send({ work: promptOf(20, from), sampling: sampling({ maxTokens: 24 }) }))
  await stand.end(...ids)
  expect(await counter(stand, 'num_preemptions_total')).toBe(0)
  expectAllEnded(stand, ids)
})

describe('what the pair asks for changes without a restart', () => {
  const settings = { method: 'auto', draftTokensMax: 4, controller: 'fixed' } as const

  test('fewer tokens, none, and again', async () => {
    const { stand, steps } = recording({ ...drafting, speculation: settings })
    stand.send({ work: promptOf(20), sampling: sampling({ maxTokens: 300 }) })
    const longest = async () => {
      steps.length = 0
      await stand.clock.advance(200)
      return Math.max(...steps.map(([span]) => span?.tokens.length ?? 0))
    }
    await stand.clock.advance(200)
    expect(await longest()).toBe(5)
    publish(stand, { ...settings, draftTokensMax: 2 })
    expect(await longest()).toBe(3)
    publish(stand, { ...settings, method: 'off' })
    expect(await longest()).toBe(1)
    expect(registered(stand).speculation).toMatchObject({ method: 'off', proposers: [] })
    publish(stand, settings)
    expect(await longest()).toBe(5)
    expect(registered(stand).speculation).toMatchObject({ method: 'auto', proposers: ['simulated'] })
  })

  test('records of others, and records that are not understood, change nothing', async () => {
    const stand = new Stand({ ...drafting, speculation: settings })
    stand.bus.tell('models', 'another', encode(recordWith({ ...settings, method: 'off' })))
    stand.bus.tell('models', 'tiny', new TextEncoder().encode('{"speculation":7}'))
    await stand.clock.advance(10)
    expect(registered(stand).speculation).toMatchObject({ proposers: ['simulated'] })
  })
})

test('a worker without proposers is asked for nothing', async () => {
  const stand = new Stand()
  const id = stand.send({ work: promptOf(20) })
  await stand.end(id)
  expect(registered(stand).speculation).toMatchObject({ method: 'auto', proposers: [], dropped: [] })
  expect(await stand.metrics.text()).not.toMatch(/step_seconds_count\{[^}]*phase="control"\} [1-9]/)
})

function registered(stand: Stand): WorkerRecord {
  return decode(WorkerRecord, stand.bus.registered.get(workerId) ?? new Uint8Array())
}

async function counter(stand: Stand, name: string): Promise<number> {
  const found = new RegExp(`vllm:(?:spec_decode_)?${name}\\{[^}]*\\} (\\d+)`).exec(await stand.metrics.text())
  return Number(found?.[1])
}

function publish(stand: Stand, speculation: ModelRecord['speculation']): void {
  stand.bus.tell('models', 'tiny', encode(recordWith(speculation)))
}

function recordWith(speculation: Partial<Speculation> | undefined): unknown {
  return {
    deployment: DeploymentName.parse('tiny'),
    servedNames: ['tiny'],
    revision: Revision.parse('r1'),
    created: 0,
    contextTokensMax: 512,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: false },
    simulated: true,
    reproducible: 'no',
    slo: { ttftMs: 1_000, tpotMs: 100 },
    queue: { requestsMax: 1, bytesMax: 1 },
    speculation,
  }
}
