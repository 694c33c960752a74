import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { samplingDefaults } from '#contracts/sampling.ts'
import { mulberry32 } from '#test/simulate/random.ts'
import { createSampler } from '../core/sampling/sampler.ts'
import type { ProposalRequest } from '../core/speculation/proposer.ts'
import { confidenceRule } from '../core/speculation/stopping/stopRule.ts'
import { depthsOf, pathOf } from '../core/speculation/tokenTree.ts'
import type { NativeSpan } from './batch.ts'
import { ChainDrafting, type Drafting } from './draftChain.ts'
import { DraftLaws } from './draftLaws.ts'
import { type Forks, TreeDrafting } from './draftTree.ts'

const vocabularySize = 9
const processing = { temperature: 0.8, topK: 0, minP: 0, topP: 1 }
const drawing = { kind: 'own-chance', processing } as const
const sameNoise = { kind: 'same-noise', processing, seed: 7 } as const

/** What a draft model says after these tokens. */
function rowAfter(tokens: readonly number[]): Float32Array {
  const random = mulberry32(tokens.reduce((sum, token) => (sum * 31 + token + 1) % 1e9, 7))
  return Float32Array.from({ length: vocabularySize }, () => 5 * random())
}

/** Sequences and their cells, as llama.cpp keeps them: a token is computed behind all that its sequence holds. */
class FakeContext implements Forks {
  readonly cells = new Map<number, number[]>()
  readonly #free: number[]

  constructor(tokens: readonly number[], spares: number) {
    this.cells.set(0, [...tokens])
    this.#free = Array.from({ length: spares }, (_, i) => i + 1)
  }

  get freeCount(): number {
    return this.#free.length
  }

  borrow(count: number): number[] {
    return this.#free.splice(0, count)
  }

  giveBack(ids: readonly number[]): void {
    for (const id of ids) this.cells.delete(id)
    this.#free.push(...ids)
  }

  fork(from: number, to: number, position: number): void {
    const held = this.cells.get(from) ?? []
    expect(held.length).toBeGreaterThanOrEqual(position)
    this.cells.set(to, held.slice(0, position))
  }

  decode(spans: readonly NativeSpan[]): Float32Array[] {
    return spans.map(({ slot, position, tokens }) => {
      const held = this.cells.get(slot) ?? []
      expect(position).toBe(held.length)
      held.push(...tokens)
      return rowAfter(held)
    })
  }
}

function draft(request: Partial<ProposalRequest>, spares: number) {
  const tokens = [3, 1, 4]
  const wanted = { key: 5, tokens, tokensMax: 8, depthMax: 4, ...request }
  const context = new FakeContext(tokens, spares)
  const place = { sequence: 0, tokens: [...tokens], confirmed: 0 }
  const options = {
    place,
    request: wanted,
    laws: new DraftLaws(vocabularySize),
    rule: confidenceRule(),
    meanings: { isEndOfGeneration: (token: number) => token === 0 },
  }
  const isTree = wanted.depthMax < wanted.tokensMax
  const drafting: Drafting = isTree
    ? new TreeDrafting({ ...options, forks: context, pathsMax: spares })
    : new ChainDrafting(options)
  let calls = 0
  drafting.take([rowAfter(tokens)])
  for (let spans = drafting.next(); spans.length > 0; spans = drafting.next()) {
    calls += 1
    drafting.take(context.decode(spans))
  }
  return { ...drafting.finish(), calls, context, place, tokens }
}

describe('a tree of a draft model', () => {
  test('every node is computed behind its own path, a layer at a time, and what was borrowed is given back', () => {
    const tokensMax = fc.integer({ min: 2, max: 24 })
    fc.assert(
      fc.property(
        tokensMax,
        fc.integer({ min: 1, max: 8 }),
        fc.integer(),
        fc.constantFrom(null, drawing, sameNoise),
        (size, spares, key, picked) => {
          const request = {
            key,
            tokensMax: size,
            depthMax: Math.max(1, size >> 1),
            ...(picked === null ? {} : { drawing: picked }),
          }
          const { tree, calls, context, place, tokens } = draft(request, spares)
          expect(tree.tokens.length).toBeLessThanOrEqual(size)
          expect(tree.tokens.length).toBeGreaterThan(0)
          expect(calls).toBeLessThanOrEqual(Math.max(...depthsOf(tree)))
          expect(context.freeCount).toBe(spares)
          expect(context.cells.get(0)).toEqual(place.tokens)
          expect(place.tokens.slice(0, tokens.length)).toEqual(tokens)
          expect(tree.laws === null).toBe(picked !== drawing)
          expect(tree.knowsNoise === true).toBe(picked === sameNoise)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('a draw names the law of its own place', () => {
    const { tree, tokens } = draft({ tokensMax: 16, depthMax: 5, drawing }, 6)
    const laws = new DraftLaws(vocabularySize)
    const firsts = tree.parents.flatMap((parent, node) => (tree.parents.indexOf(parent) === node ? [node] : []))
    expect(firsts.length).toBeGreaterThan(3)
    for (const node of firsts) {
      const above = pathOf(tree, node).slice(0, -1)
      expect(tree.laws?.[node]).toEqual(laws.read(rowAfter([...tokens, ...above]), drawing, 0))
    }
  })

  test('where no path can fork it is a chain', () => {
    const { tree } = draft({ tokensMax: 12, depthMax: 6, drawing }, 0)
    const inner = new Set(tree.parents)
    expect(Math.max(...depthsOf(tree))).toBeGreaterThan(1)
    for (const depth of new Set(depthsOf(tree)))
      expect([...inner].filter((node) => (depthsOf(tree)[node] ?? 0) === depth).length).toBeLessThanOrEqual(1)
  })
})

describe('a chain of a draft model', () => {
  test('of draws names their laws; of the likeliest tokens none', () => {
    const { tree, confidence } = draft({ tokensMax: 4, depthMax: 4, drawing }, 0)
    expect(tree.laws).toHaveLength(tree.tokens.length)
    expect(confidence).toHaveLength(tree.tokens.length)
    expect(draft({ tokensMax: 4, depthMax: 4 }, 0).tree.laws).toBeNull()
  })

  test('is what the request would choose where the target says the same', () => {
    const { tree, tokens } = draft({ tokensMax: 4, depthMax: 4, drawing: sameNoise }, 0)
    const sampling = { ...samplingDefaults, ...processing, seed: sameNoise.seed }
    const sampler = createSampler({ sampling, vocabularySize, endTokens: [], prompt: [] })
    const text = [...tokens]
    for (const token of tree.tokens) {
      expect(token).toBe(sampler.sample({ logits: rowAfter(text), position: text.length }).token)
      text.push(token)
    }
  })

  test('the same worker draws the same, other requests draw otherwise', () => {
    const drawn = (key: number) => draft({ key, tokensMax: 6, depthMax: 6, drawing }, 0).tree.tokens
    expect(drawn(1)).toEqual(drawn(1))
    expect(new Set([1, 2, 3, 4].map((key) => drawn(key).join())).size).toBeGreaterThan(1)
  })
})
