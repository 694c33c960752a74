/**
 * Drafting under faults, 10,000 steps of it: drafts that crash, rows that are no numbers, a cache without room, requests cancelled while
 * their draft is under way or while it is verified. Whatever happens, no token is lost or doubled, every request ends once, and no cell is
 * left over. Drafts are chains, and in the unified layout trees as well.
 */
import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import type { DispatchId } from '#contracts/ids.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import type { Proposal, ProposalRequest } from '../../gpu-worker/core/speculation/proposer.ts'
import { bushyTree } from '../../gpu-worker/core/speculation/bushyTree.fixture.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { createSimulatedProposer } from '../../gpu-worker/simulated/proposer.ts'
import { expectAllEnded, promptOf, sampling, Stand } from '../../gpu-worker/worker.fixture.ts'
import { createRandom, type Random, withSeed } from './random.ts'

const steps = 10_000
const slots = 4
const kinds = 12
const tokensMax = (kind: number) => 8 + 5 * kind

/** One of a few requests whose text is known. */
const requestOf = (kind: number) => ({
  work: promptOf(10 + 7 * kind, kind),
  sampling: sampling({ seed: kind, maxTokens: tokensMax(kind), temperature: kind % 2 === 0 ? 0 : 0.8 }),
})

async function expectedTokens(): Promise<number[][]> {
  const stand = new Stand({ slots: kinds, prefixCacheMiB: 0 })
  const ids = Array.from({ length: kinds }, (_, kind) => stand.send(requestOf(kind)))
  await stand.end(...ids)
  return ids.map((id) => stand.tokens(id))
}

/** What came to pass: a test of faults that never happened shows nothing. */
interface Counted {
  steps: number
  crashes: number
  draftsUnderWay: number
  cancelsMidDraft: number
  /** Steps with a tree in them, and what became of those. */
  trees: number
  treesWithoutCells: number
  cancelsMidTree: number
  isTreeUnderWay: boolean
}

/** The runner, with steps that find no cells, fail, or answer with rows of NaN. Counts its steps. */
function faulty(random: Random, counted: Counted) {
  return (runner: ModelRunner): ModelRunner => {
    const { decode, logits } = { decode: runner.decode.bind(runner), logits: runner.logits.bind(runner) }
    runner.decode = async (spans) => {
      counted.steps += 1
      if (random.chance(0.01)) return { kind: 'no-cells' }
      if (random.chance(0.002)) throw new Failure('engine-fault', 'the step failed')
      counted.isTreeUnderWay = spans.some(({ parents }) => parents !== undefined)
      if (counted.isTreeUnderWay) counted.trees += 1
      const result = await decode(spans)
      if (counted.isTreeUnderWay && result.kind === 'no-cells') counted.treesWithoutCells += 1
      counted.isTreeUnderWay = false
      return result
    }
    runner.logits = (row) => {
      const values = logits(row)
      return random.chance(0.001) ? values.fill(Number.NaN) : values
    }
    return runner
  }
}

/** The simulated draft as a model would be: it takes its time, crashes now and then, and answers nonsense now and then. */
function draftModel(random: Random, clock: () => Clock, counted: Counted): Proposer {
  const isBranching = random.chance(0.8)
  const guesses = createSimulatedProposer({ seed: 1, acceptance: 0.6, draftTokens: 6 })
  const propose = async (requests: readonly ProposalRequest[]): Promise<Proposal[]> => {
    counted.draftsUnderWay += 1
    await delay(clock(), random.int(0, 3))
    counted.draftsUnderWay -= 1
    if (random.chance(0.005)) {
      counted.crashes += 1
      throw new Failure('engine-fault', 'the draft crashed')
    }
    const proposals = await guesses.propose(requests)
    const wrong = random.chance(0.005) ? -1 : 0
    return proposals.map((proposal, i) => {
      const named = { ...proposal, method: 'draft' as const, key: proposal.key + wrong }
      return isBranching && random.chance(0.8) ? withBranches(named, requests[i]?.tokensMax ?? 0) : named
    })
  }
  return { method: 'draft', propose, forget: (key) => guesses.forget(key) }
}

function withBranches(proposal: Proposal, nodesMax: number): Proposal {
  const tree = bushyTree(proposal.tree.tokens, (token) => (token === 300 ? 301 : 300), nodesMax)
  return { ...proposal, tree, confidence: tree.tokens.map(() => 0.6) }
}

async function run(seed: number, expected: readonly number[][], counted: Counted): Promise<void> {
  const random = createRandom(seed)
  const isUnified = random.chance(0.5)
  const stand: Stand = new Stand({
    slots,
    prefixCacheMiB: 0,
    ...(isUnified ? { kvLayout: 'unified', cellsMax: 260 } : {}),
    simulated: { draftTokens: random.int(0, 4), acceptance: 0.7, stepMs: 5 },
    proposers: [draftModel(random.fork('draft'), () => stand.process, counted)],
    speculation: {
      controller: random.pick(['fixed', 'goodput', 'threshold'] as const),
      draftTokensMax: random.int(1, 12),
    },
    wrap: faulty(random.fork('runner'), counted),
  })
  const asked = new Map<DispatchId, number>()
  while (asked.size < 16) {
    const kind = random.int(0, kinds - 1)
    const id = stand.send(requestOf(kind))
    asked.set(id, kind)
    const cancel = () => {
      if (counted.draftsUnderWay > 0) counted.cancelsMidDraft += 1
      if (counted.isTreeUnderWay) counted.cancelsMidTree += 1
      stand.cancel(id)
    }
    if (random.chance(0.3)) stand.process.after(random.int(0, 200), cancel)
    await stand.clock.advance(random.int(0, 30))
  }
  const ids = [...asked.keys()]
  await stand.end(...ids)
  expectAllEnded(stand, ids)
  for (const [id, kind] of asked) expectText(stand, id, expected[kind] ?? [])
  expect(stand.worker.report().cells.used).toBe(0)
  const empty = stand.runner.sequenceBytes(0)
  for (let slot = 0; slot < slots; slot++) expect(stand.runner.sequenceBytes(slot)).toBe(empty)
  await stand.worker.stop()
}

/** All of it where the request was completed, a beginning of it otherwise. */
function expectText(stand: Stand, id: DispatchId, expected: readonly number[]): void {
  const tokens = stand.tokens(id)
  const last = stand.last(id)
  const isCompleted = last?.kind === 'final' && last.outcome.kind === 'completed'
  expect(tokens).toEqual(isCompleted ? expected : expected.slice(0, tokens.length))
}

test(`${steps} steps with drafts that crash, NaN, a full cache and cancels lose and double nothing`, async () => {
  const expected = await expectedTokens()
  const counted: Counted = {
    steps: 0,
    crashes: 0,
    draftsUnderWay: 0,
    cancelsMidDraft: 0,
    trees: 0,
    treesWithoutCells: 0,
    cancelsMidTree: 0,
    isTreeUnderWay: false,
  }
  for (let seed = 1; counted.steps < steps; seed++) await withSeed(seed, () => run(seed, expected, counted))
  expect(counted.crashes).toBeGreaterThan(10)
  expect(counted.cancelsMidDraft).toBeGreaterThan(10)
  expect(counted.trees).toBeGreaterThan(500)
  expect(counted.treesWithoutCells).toBeGreaterThan(5)
  expect(counted.cancelsMidTree).toBeGreaterThan(20)
})
