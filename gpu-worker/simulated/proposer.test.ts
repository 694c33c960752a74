import { expect, test } from 'vitest'
import { createLanguageModel, windowLength } from './languageModel.ts'
import { fillWindow } from './cells.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import type { Proposal } from '../core/speculation/proposer.ts'
import { createSimulatedProposer, type SimulatedProposerOptions } from './proposer.ts'

const seed = 1
const proposer = (acceptance: number, draftTokens = 8) => createSimulatedProposer({ seed, acceptance, draftTokens })

function propose(subject: ReturnType<typeof proposer>, tokens: number[], tokensMax = 8): readonly number[] {
  const answer = subject.propose([{ key: 0, tokens, tokensMax, depthMax: tokensMax }])
  return Array.isArray(answer) ? (answer[0]?.tree.tokens ?? []) : []
}

function greedy(history: readonly number[], count: number): number[] {
  const model = createLanguageModel(seed)
  const window = new Int32Array(windowLength)
  const tokens = [...history]
  while (tokens.length < history.length + count) {
    fillWindow(tokens, tokens.length, window, 0)
    tokens.push(model.best(window, 0))
  }
  return tokens.slice(history.length)
}

test('with acceptance 1 a draft is what greedy decoding then says', () => {
  expect(propose(proposer(1), [260, 261])).toEqual(greedy([260, 261], 8))
})

test('the share of right drafts is the acceptance that was set', () => {
  const [certain] = greedy([300], 1)
  const subject = proposer(0.7)
  const drafts = Array.from({ length: 2_000 }, () => propose(subject, [300], 1)[0])
  expect(drafts.filter((token) => token === certain).length / 2_000).toBeCloseTo(0.7, 1)
})

test('it proposes no more than its own limit', () => {
  expect(propose(proposer(1, 3), [300], 8)).toHaveLength(3)
})

/** Shares of first, second, … tokens that are right, each once those before it were. */
function rightShares(options: Partial<SimulatedProposerOptions>, key = 0): number[] {
  const subject = createSimulatedProposer({ seed, acceptance: 0.5, draftTokens: 8, ...options })
  const certain = greedy([300], 3)
  const right = [0, 0, 0, 0]
  for (let i = 0; i < 2_000; i++) {
    const [proposal] = proposalsOf(subject.propose([{ key, tokens: [300], tokensMax: 3, depthMax: 3 }]))
    const wrong = certain.findIndex((token, j) => proposal?.tree.tokens[j] !== token)
    for (let depth = 0; depth <= (wrong < 0 ? 3 : wrong); depth++) right[depth] = (right[depth] ?? 0) + 1
  }
  return [1, 2, 3].map((depth) => (right[depth] ?? 0) / (right[depth - 1] ?? 1))
}
const proposalsOf = (answer: Proposal[] | Promise<Proposal[]>) => (Array.isArray(answer) ? answer : [])

test('acceptance by position is that of a token whose predecessors were accepted; the last one holds on', () => {
  const shares = rightShares({ acceptanceByPosition: [0.9, 0.5] })
  for (const [i, rate] of [0.9, 0.5, 0.5].entries()) expect(Math.abs((shares[i] ?? 0) - rate)).toBeLessThan(0.05)
})

test('requests differ, each with its own acceptance', () => {
  const firsts = [1, 2, 3, 4, 5, 6].map((key) => rightShares({ acceptanceSpread: 0.4 }, key)[0] ?? 0)
  expect(Math.max(...firsts) - Math.min(...firsts)).toBeGreaterThan(0.2)
  for (const first of firsts) expect(Math.abs(first - 0.5)).toBeLessThan(0.45)
})

test('acceptance changes with time, over and over', async () => {
  const clock = createFakeClock()
  const phases = [
    { forMs: 1_000, acceptance: 1 },
    { forMs: 500, acceptance: 0 },
  ]
  const subject = createSimulatedProposer({ seed, acceptance: 0.5, draftTokens: 8, acceptancePhases: phases, clock })
  const [certain] = greedy([300], 1)
  const isRight = () => propose(subject, [300], 1)[0] === certain
  const seen: boolean[] = []
  for (let i = 0; i < 6; i++) {
    seen.push(isRight())
    await clock.advance(500)
  }
  expect(seen).toEqual([true, true, false, true, true, false])
})

test('drafting takes its share of a step for each token', async () => {
  const clock = createFakeClock()
  const subject = createSimulatedProposer({
    seed,
    acceptance: 1,
    draftTokens: 8,
    draftStepShare: 0.1,
    stepMs: 20,
    rowMs: 10,
    clock,
  })
  const ask = (key: number) => ({ key, tokens: [300], tokensMax: 4, depthMax: 4 })
  let takenMs = -1
  void Promise.resolve(subject.propose([ask(1), ask(2)])).then(() => (takenMs = clock.now() - 1_000))
  await clock.advance(100)
  expect(takenMs).toBeCloseTo(4 * 0.1 * 30, 6)
})
