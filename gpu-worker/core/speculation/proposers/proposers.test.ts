import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { chainIn } from '../chain.ts'
import { emptyTree, isChain } from '../tokenTree.ts'
import { NgramProposer } from './ngramProposer.ts'
import { TrigramCounter } from './trigramCounter.ts'
import { TrigramProposer } from './trigramProposer.ts'
import { readTrigramTable } from './trigramTable.ts'

const table = tableOf(Array.from({ length: 300 }, (_, i) => (i * i + 3 * i) % 11))
const kinds: Record<string, () => NgramProposer | TrigramProposer> = {
  ngram: () => new NgramProposer(),
  trigram: () => new TrigramProposer(table),
  'trigram without a table': () => new TrigramProposer(null),
}

const text = fc.array(fc.integer({ min: 0, max: 10 }), { minLength: 1, maxLength: 80 })
const wish = { tokensMax: 8, depthMax: 8 }

describe.each(Object.entries(kinds))('proposer %s', (_, create) => {
  test('answers in the order asked, within what was asked for', () => {
    const wishes = fc.record({ tokensMax: fc.integer({ min: 1, max: 80 }), depthMax: fc.integer({ min: 1, max: 80 }) })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, wishes), { minLength: 1, maxLength: 4 }), (asked) => {
        const requests = asked.map(([tokens, wanted], key) => ({ key, tokens, ...wanted }))
        const proposals = create().propose(requests)
        expect(proposals.map(({ key }) => key)).toEqual(requests.map(({ key }) => key))
        for (const [i, { tree, confidence }] of proposals.entries()) {
          expect(tree.tokens.length).toBeLessThanOrEqual(requests[i]?.tokensMax ?? 0)
          expect(Math.max(0, ...depths(tree.parents))).toBeLessThanOrEqual(requests[i]?.depthMax ?? 0)
          expect(confidence.length).toBe(tree.tokens.length)
          for (const rate of confidence) expect(rate > 0 && rate < 1).toBe(true)
          for (const [node, parent] of tree.parents.entries()) expect(parent).toBeLessThan(node)
          expect(siblingsDiffer(tree)).toBe(true)
        }
      }),
    )
  })

  test('gives a chain where the longest path is the whole proposal', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 20 }), (tokens, tokensMax) => {
        const [proposal] = create().propose([{ key: 1, tokens, tokensMax, depthMax: tokensMax }])
        expect(proposal !== undefined && isChain(proposal.tree)).toBe(true)
      }),
    )
  })

  test('learns nothing of one sequence from another', () => {
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 5 }), (tokens, others) => {
        const alone = create().propose([{ key: 0, tokens, ...wish }])
        const crowded = create()
        crowded.propose(others.map((other, i) => ({ key: i + 1, tokens: other, ...wish })))
        expect(crowded.propose([{ key: 0, tokens, ...wish }])).toEqual(alone)
      }),
    )
  })

  test('proposes the same however the text came in', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (tokens, step) => {
        const whole = create().propose([{ key: 0, tokens, ...wish }])
        const slow = create()
        for (let shown = 1; shown < tokens.length; shown += step)
          slow.propose([{ key: 0, tokens: tokens.slice(0, shown), ...wish }])
        const last = slow.propose([{ key: 0, tokens, ...wish }])
        expect(last.map(({ tree }) => tree)).toEqual(whole.map(({ tree }) => tree))
      }),
    )
  })

  test('starts anew where a text was cut', () => {
    const proposer = create()
    proposer.propose([{ key: 0, tokens: [1, 2, 3, 1, 2, 3, 1, 2, 3, 9], ...wish }])
    const cut = proposer.propose([{ key: 0, tokens: [4, 5, 6, 4, 5, 6], ...wish }])
    expect(cut).toEqual(create().propose([{ key: 0, tokens: [4, 5, 6, 4, 5, 6], ...wish }]))
  })

  test('keeps nothing of a forgotten sequence, and a bounded number of those nobody forgot', () => {
    const proposer = create()
    for (let key = 0; key < limits.speculation.sequencesMax + 5; key++)
      proposer.propose([{ key, tokens: [1, 2, 3], ...wish }])
    expect(proposer.sequences).toBe(limits.speculation.sequencesMax)
    for (let key = 0; key < limits.speculation.sequencesMax + 5; key++) proposer.forget(key)
    expect(proposer.sequences).toBe(0)
  })
})

describe('a tree of the tri-gram proposer', () => {
  test('is a tree at every beginning, the likeliest nodes first', () => {
    const [proposal] = new TrigramProposer(table).propose([
      { key: 0, tokens: [0, 4, 10, 7, 6, 7, 10, 4, 0], tokensMax: 24, depthMax: 4 },
    ])
    const { tree, confidence } = proposal ?? { tree: { tokens: [], parents: [] }, confidence: [] }
    const reach: number[] = []
    for (const [i, parent] of tree.parents.entries())
      reach.push((confidence[i] ?? 0) * (parent < 0 ? 1 : (reach[parent] ?? 0)))
    expect(tree.tokens.length).toBeGreaterThan(1)
    expect(reach).toEqual(reach.toSorted((a, b) => b - a))
  })

  test('holds the chain that would be proposed, as far as its nodes are likely enough', () => {
    fc.assert(
      fc.property(text, (tokens) => {
        const propose = (depthMax: number) =>
          new TrigramProposer(table).propose([{ key: 0, tokens, tokensMax: 8, depthMax }])[0]?.tree ?? emptyTree
        const [chain, tree] = [propose(8), propose(7)]
        const main = chainIn(tree, 8).tokens
        expect(chain.tokens.slice(0, main.length)).toEqual(main)
        expect(tree.tokens.length).toBeGreaterThanOrEqual(Math.min(7, chain.tokens.length))
      }),
    )
  })
})

function depths(parents: readonly number[]): number[] {
  const found: number[] = []
  for (const parent of parents) found.push(parent < 0 ? 1 : 1 + (found[parent] ?? 0))
  return found
}

function siblingsDiffer({ tokens, parents }: { tokens: readonly number[]; parents: readonly number[] }): boolean {
  return new Set(tokens.map((token, i) => `${parents[i]}:${token}`)).size === tokens.length
}

function tableOf(tokens: readonly number[]) {
  const counter = new TrigramCounter({ vocabularySize: 16, tokenizer: '00'.repeat(32), sightingsMin: 1 })
  counter.add(tokens)
  return readTrigramTable(counter.build())
}
