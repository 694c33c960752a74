import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SearchNodes } from './searchNodes.ts'
import { Successors } from './successors.ts'
import { TrigramCounter } from './trigramCounter.ts'
import { pullOf, scoreOf, searchDefaults, TrigramSearch } from './trigramSearch.ts'
import { readTrigramTable, type TrigramTable } from './trigramTable.ts'

const adaptive = { bonus: 0.04, cap: 3, sightingsMax: 75 }
const sequences = fc.array(fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 200 }), { minLength: 1, maxLength: 4 })
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

describe('the score of a child', () => {
  test('is the published value', () => {
    const nodes = new SearchNodes(2)
    nodes.begin(1, 2)
    const child = nodes.add(0, 3, 0.2)
    nodes.visits[child] = 3
    nodes.rewards[child] = 6
    expect(scoreOf(nodes, child, pullOf(12))).toBeCloseTo(7.70972, 5)
  })

  test('is infinite before the first visit', () => {
    const nodes = new SearchNodes(2)
    nodes.begin(1, 2)
    expect(scoreOf(nodes, nodes.add(0, 3, 0.2), pullOf(1))).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('a search', () => {
  test('follows the only way there is, whatever the seed', () => {
    const table = tableOf([[1, 2, 3, 4, 5, 6, 7]])
    fc.assert(
      fc.property(seeds, (seed) => {
        const tree = searched(table, { before: 1, last: 2, seed })
        expect(tree).toEqual({ tokens: [3, 4, 5, 6], parents: [-1, 0, 1, 2] })
      }),
    )
  })

  test('finds nothing behind a bigram that was never seen', () => {
    const search = new TrigramSearch(new Successors(tableOf([[1, 2, 3]]), adaptive))
    expect(search.run({ sighted: null, before: 2, last: 1, seed: 1, position: 2 })).toBe(false)
    expect(search.chosenCount).toBe(0)
  })

  test('gives a tree of unique nodes, at most 64, parents first, no path over four tokens', () => {
    fc.assert(
      fc.property(sequences, seeds, (texts, seed) => {
        const { tokens, parents } = searched(tableOf(texts), { before: 0, last: 1, seed })
        expect(tokens.length).toBeLessThanOrEqual(searchDefaults.nodesMax)
        const paths = tokens.map((_, i) => pathOf({ tokens, parents }, i).join())
        expect(new Set(paths).size).toBe(paths.length)
        for (const [i, parent] of parents.entries()) expect(parent).toBeLessThan(i)
        for (const path of paths) expect(path.split(',').length).toBeLessThanOrEqual(searchDefaults.states)
      }),
    )
  })

  test('proposes only what the table holds', () => {
    fc.assert(
      fc.property(sequences, seeds, (texts, seed) => {
        const table = tableOf(texts)
        const tree = searched(table, { before: 0, last: 1, seed })
        for (const [i] of tree.tokens.entries()) {
          const [first, second, third] = [0, 1, ...pathOf(tree, i)].slice(-3)
          const bigram = table.find(first ?? 0, second ?? 0) ?? -1
          expect([...table.successors.subarray(table.offsets[bigram], table.offsets[bigram + 1])]).toContain(third)
        }
      }),
    )
  })

  test('keeps the longest paths out where there is less room', () => {
    const table = tableOf([Array.from({ length: 400 }, (_, i) => (i * i) % 7)])
    const full = searched(table, { before: 0, last: 1, seed: 3 })
    const search = new TrigramSearch(new Successors(table, adaptive), { ...searchDefaults, nodesMax: 3 })
    search.run({ sighted: null, before: 0, last: 1, seed: 3, position: 2 })
    expect(full.tokens.length).toBeGreaterThan(3)
    expect(search.chosenCount).toBe(3)
  })

  test('is a function of table, tokens, seed and position alone', () => {
    fc.assert(
      fc.property(sequences, seeds, (texts, seed) => {
        const table = tableOf(texts)
        const search = new TrigramSearch(new Successors(table, adaptive))
        const run = () => {
          search.run({ sighted: null, before: 0, last: 1, seed, position: 17 })
          return [...search.chosen.subarray(0, search.chosenCount)]
        }
        const first = run()
        search.run({ sighted: null, before: 1, last: 2, seed: seed + 1, position: 3 })
        expect(run()).toEqual(first)
      }),
    )
  })
})

function tableOf(texts: readonly (readonly number[])[]): TrigramTable {
  const counter = new TrigramCounter({ vocabularySize: 16, tokenizer: '00'.repeat(32), sightingsMin: 1 })
  for (const text of texts) counter.add(text)
  return readTrigramTable(counter.build())
}

interface Tree {
  readonly tokens: readonly number[]
  readonly parents: readonly number[]
}

function searched(table: TrigramTable, from: { before: number; last: number; seed: number }): Tree {
  const search = new TrigramSearch(new Successors(table, adaptive))
  search.run({ sighted: null, position: 2, ...from })
  const chosen = [...search.chosen.subarray(0, search.chosenCount)]
  return {
    tokens: chosen.map((node) => search.nodes.secondOf(node)),
    parents: chosen.map((node) => chosen.indexOf(search.nodes.parentOf(node))),
  }
}

function pathOf({ tokens, parents }: Tree, node: number): number[] {
  return node < 0 ? [] : [...pathOf({ tokens, parents }, parents[node] ?? -1), tokens[node] ?? 0]
}
