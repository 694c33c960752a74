import { expect, test } from 'vitest'
import { createLanguageModel, windowLength } from './languageModel.ts'
import { fillWindow } from './cells.ts'
import { createSimulatedProposer } from './proposer.ts'

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
