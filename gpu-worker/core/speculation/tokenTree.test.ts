import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { depthFirst, mergeEqualSiblings, treeOfPaths } from './mergedTree.ts'
import {
  beginningOf,
  chainOf,
  childrenOf,
  depthsOf,
  emptyTree,
  isChain,
  pathOf,
  root,
  type TokenTree,
} from './tokenTree.ts'
import { assignSequences, commitOf, leavesOf, nodesWithin, spareIdsFor } from './treeSequences.ts'

const someTree: fc.Arbitrary<TokenTree> = fc
  .array(fc.record({ token: fc.nat(3), up: fc.nat(30) }), { maxLength: 14 })
  .map((nodes) => ({
    tokens: nodes.map(({ token }) => token),
    parents: nodes.map(({ up }, i) => (up % (i + 1)) - 1),
    laws: null,
  }))

const pathsOf = (tree: TokenTree) => tree.tokens.map((_, node) => pathOf(tree, node).join())

describe('a tree', () => {
  //   5 ─ 6 ─ 7
  //   └── 8
  //   9
  const tree: TokenTree = { tokens: [5, 9, 6, 8, 7], parents: [-1, -1, 0, 0, 2], laws: null }

  test('knows children, depths and paths', () => {
    expect(childrenOf(tree, root)).toEqual([0, 1])
    expect(childrenOf(tree, 0)).toEqual([2, 3])
    expect(depthsOf(tree)).toEqual([1, 1, 2, 2, 3])
    expect(pathOf(tree, 4)).toEqual([5, 6, 7])
    expect(leavesOf(tree)).toEqual([1, 3, 4])
    expect(isChain(tree)).toBe(false)
    expect(isChain(chainOf([1, 2]))).toBe(true)
  })

  test('stands depth first with every path together', () => {
    const { tree: sorted, order } = depthFirst(tree)
    expect(order).toEqual([0, 2, 4, 3, 1])
    expect(sorted).toEqual({ tokens: [5, 6, 7, 8, 9], parents: [-1, 0, 1, 0, -1], laws: null })
  })

  test('is made of paths, shared beginnings once', () => {
    const made = treeOfPaths([[5, 6, 7], [5, 8], [9], [5, 6]])
    expect(made).toEqual({ tokens: [5, 6, 7, 8, 9], parents: [-1, 0, 1, 0, -1], laws: null })
    expect(treeOfPaths([])).toEqual(emptyTree)
  })

  test('of independent paths is computed without its repetitions', () => {
    const { tree: merged, rowOf } = mergeEqualSiblings({ tokens: [3, 3, 4, 5], parents: [-1, -1, 0, 1], laws: null })
    expect(merged).toEqual({ tokens: [3, 4, 5], parents: [-1, 0, 0], laws: null })
    expect(rowOf).toEqual([0, 0, 1, 2])
  })
})

describe('any tree', () => {
  test('keeps its paths when merged, sorted or cut', () => {
    fc.assert(
      fc.property(someTree, fc.nat(14), (tree, nodes) => {
        const { tree: merged, rowOf } = mergeEqualSiblings(tree)
        expect(rowOf.map((row) => pathOf(merged, row).join())).toEqual(pathsOf(tree))
        expect(new Set(pathsOf(merged)).size).toBe(merged.tokens.length)
        expect(pathsOf(depthFirst(tree).tree).sort()).toEqual(pathsOf(tree).sort())
        expect(pathsOf(beginningOf(tree, nodes))).toEqual(pathsOf(tree).slice(0, nodes))
      }),
    )
  })

  test('is judged by sequences: each holds exactly one path', () => {
    fc.assert(
      fc.property(someTree, (tree) => {
        const { nodeIds, rootIds, forks, main } = assignSequences(tree, {
          main: 7,
          spare: Array.from({ length: 20 }, (_, i) => i + 10),
        })
        const leaves = leavesOf(tree)
        expect(rootIds).toEqual([main, ...forks])
        expect(rootIds.length).toBe(Math.max(1, leaves.length))
        for (const [i, leaf] of leaves.entries()) {
          const held = tree.tokens.filter((_, node) => nodeIds[node]?.includes(rootIds[i] ?? -1))
          expect(held).toEqual(pathOf(tree, leaf))
        }
      }),
    )
  })

  test('leaves its sequence with what was accepted, and nothing else', () => {
    fc.assert(
      fc.property(someTree, fc.nat(), (tree, pick) => {
        const sequences = assignSequences(tree, { main: 0, spare: Array.from({ length: 20 }, (_, i) => i + 1) })
        const path = accepted(tree, (pick % (tree.tokens.length + 1)) - 1)
        const commit = commitOf(sequences, path)
        const cellsOf = (id: number) =>
          tree.tokens.flatMap((token, node) => (sequences.nodeIds[node]?.includes(id) ? [token] : []))
        const kept = cellsOf(sequences.main).slice(0, commit.mainKeeps)
        const copied = commit.copy === null ? [] : cellsOf(commit.copy.from).slice(commit.copy.start, commit.copy.end)
        expect([...kept, ...copied]).toEqual(path.map((node) => tree.tokens[node]))
        expect(commit.remove).toEqual(sequences.forks)
      }),
    )
  })

  test('is cut to as many nodes as there are sequence ids for', () => {
    fc.assert(
      fc.property(someTree, fc.integer({ min: 1, max: 6 }), (tree, leavesMax) => {
        const nodes = nodesWithin(tree, leavesMax)
        expect(leavesOf(beginningOf(tree, nodes)).length).toBeLessThanOrEqual(leavesMax)
        if (nodes < tree.tokens.length) expect(leavesOf(beginningOf(tree, nodes + 1)).length).toBeGreaterThan(leavesMax)
      }),
    )
  })
})

test('there are spare ids for a few branches of every slot, as far as the engine can tell sequences apart', () => {
  expect([1, 8, 64, 250, 256].map(spareIdsFor)).toEqual([15, 32, 192, 6, 0])
})

test('more paths than sequence ids are refused', () => {
  expect(() => assignSequences({ tokens: [1, 2], parents: [-1, -1], laws: null }, { main: 0, spare: [] })).toThrow(
    '2 paths and only 1 sequence ids',
  )
})

test('a chain needs no other sequence, and is cut to what was accepted', () => {
  const sequences = assignSequences(chainOf([1, 2, 3]), { main: 4, spare: [] })
  expect(sequences).toEqual({ main: 4, forks: [], rootIds: [4], nodeIds: [[4], [4], [4]] })
  expect(commitOf(sequences, [0, 1])).toEqual({ mainKeeps: 2, copy: null, remove: [] })
})

function accepted(tree: TokenTree, node: number): number[] {
  return node < 0 ? [] : [...accepted(tree, tree.parents[node] ?? -1), node]
}
