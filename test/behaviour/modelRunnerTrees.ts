/**
 * Trees of drafts: each row is what its path alone would give, and afterwards the slot holds the path that stays and nothing else does.
 *
 * Where later tokens stand in holes between a sequence's cells, llama.cpp adds in another order and results differ in their last digits:
 * so what is left in the cells is compared as saved, byte for byte, and rows only of what was computed into cells in order.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchSpan, ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { pathOf, type TokenTree } from '../../gpu-worker/core/speculation/tokenTree.ts'
import {
  argmax,
  empty,
  expectSame,
  logitsAfter,
  type OpenRunner,
  sampleTokens,
  span,
  usual,
} from './modelRunnerSteps.ts'

const cellsMax = 256
const contextTokensMax = 256
/** Cells beside the neighbour. */
const freeMax = 48

/** Behind the last of `known` tokens, with rows for that one and for each draft. */
function treeSpan(slot: number, position: number, known: readonly number[], { tokens, parents }: TokenTree): BatchSpan {
  return { ...span(slot, position, [...known, ...tokens], 1 + tokens.length), parents }
}

export function treeSuite(open: OpenRunner): void {
  let runner: ModelRunner
  let text: number[]
  let prompt: number[]
  /**
   *     a ─ b ─ d
   *     │   └── e
   *     └── c
   *     b ─ a
   */
  let tree: TokenTree
  let neighbour: Uint8Array
  beforeAll(async () => {
    runner = await open({ ...usual, contextTokensMax, kvLayout: 'unified', cellsMax, kvCacheType: 'q8_0' })
    text = sampleTokens(runner)
    prompt = text.slice(0, 21)
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = new Set(text.slice(21))
    tree = { tokens: [a, b, b, c, a, d, e], parents: [-1, -1, 0, 0, 1, 2, 2], laws: null }
    await runner.decode([span(1, 0, Array<number>(cellsMax - freeMax).fill(text[0] ?? 0), 0)])
    neighbour = runner.saveSequence(1)
    empty(runner)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  const rowsOf = (count: number, first = 0) => Array.from({ length: count }, (_, i) => runner.logits(first + i).slice())
  const begin = (slot = 0) => runner.decode([span(slot, 0, prompt.slice(0, -1), 0)])
  const grow = (slot = 0) => runner.decode([treeSpan(slot, 20, prompt.slice(-1), tree)])
  /** Exactly so many cells are free, beside a neighbour that leaves `freeMax` of them: few, so that it takes no time to fill them. */
  const expectFree = async (cells: number) => {
    const fill = (count: number) => runner.decode([span(3, 0, Array<number>(count).fill(prompt[0] ?? 0), 0)])
    expect(await fill(cells + 1)).toEqual({ kind: 'no-cells' })
    expect(await fill(cells)).toMatchObject({ kind: 'decoded' })
    runner.truncate(3, 0)
  }
  const makeNeighbour = () => expect(runner.restoreSequence(1, neighbour)).toBe(true)

  test('it says how far trees may branch', () => {
    expect(runner.info.capabilities.trees).toBe(true)
    expect(runner.info.forksMax).toBeGreaterThanOrEqual(8)
  })

  test('each row is what its path alone gives', async () => {
    await begin()
    expect(await grow()).toMatchObject({ kind: 'decoded', rows: 8 })
    const rows = rowsOf(8)
    empty(runner)
    expectSame(rows[0], await logitsAfter(runner, prompt))
    for (const node of tree.tokens.keys())
      expectSame(rows[1 + node], await logitsAfter(runner, [...prompt, ...pathOf(tree, node)]))
  })

  test('beside other trees, chains and prompts', async () => {
    await begin(0)
    await begin(2)
    const chain = span(1, 0, text.slice(30, 36), 3)
    const spans = [treeSpan(0, 20, prompt.slice(-1), tree), chain, treeSpan(2, 20, prompt.slice(-1), tree)]
    expect(await runner.decode([...spans, span(3, 0, text.slice(0, 9), 1)])).toMatchObject({ rows: 20 })
    const [first, second] = [rowsOf(8), rowsOf(8, 11)]
    runner.keepPath(0, [1])
    runner.keepPath(2, [0, 2, 6])
    empty(runner)
    for (const [node, row] of first.entries()) expectSame(row, second[node] ?? row)
    for (const node of [3, 6])
      expectSame(first[1 + node], await logitsAfter(runner, [...prompt, ...pathOf(tree, node)]))
  })

  test('a tree may follow a whole prompt, and hang on the first token of all', async () => {
    await runner.decode([treeSpan(0, 0, prompt, tree), treeSpan(1, 0, prompt.slice(0, 1), tree)])
    const [behind, first] = [rowsOf(8), rowsOf(8, 8)]
    empty(runner)
    expectSame(behind[6], await logitsAfter(runner, [...prompt, ...pathOf(tree, 5)]))
    expectSame(first[6], await logitsAfter(runner, [...prompt.slice(0, 1), ...pathOf(tree, 5)]))
  })

  test.each<[string, number[]]>([
    ['none', []],
    ['the first', [0]],
    ['to the first leaf', [0, 3]],
    ['to a leaf of a fork', [0, 2, 6]],
    ['to an inner node', [0, 2]],
    ['of another branch', [1, 4]],
  ])('the path that stays, %s, is left as if it had been a chain', async (_which, path) => {
    const last = path.at(-1) ?? -1
    await runner.decode([span(0, 0, prompt.slice(0, -1), 0)])
    await runner.decode([span(0, 20, [...prompt.slice(-1), ...pathOf(tree, last)], 1)])
    const chain = runner.saveSequence(0)
    empty(runner)
    makeNeighbour()
    await begin()
    await grow()
    runner.keepPath(0, path)
    expect(Buffer.compare(runner.saveSequence(0), chain)).toBe(0)
    await expectFree(freeMax - prompt.length - path.length)
    // And it goes on.
    await runner.decode([span(0, prompt.length + path.length, text.slice(50, 51), 1)])
    const next = argmax(runner.logits(0))
    runner.truncate(0, 0)
    await expectFree(freeMax)
    empty(runner)
    const expected = await logitsAfter(runner, [...prompt, ...pathOf(tree, last), ...text.slice(50, 51)])
    expect((expected[next] ?? 0) / Math.max(...expected)).toBeGreaterThan(0.9)
  })

  test('tree after tree, nothing is left over', async () => {
    makeNeighbour()
    await begin()
    let position = 20
    for (const path of [[0, 2, 5], [], [1, 4], [0]]) {
      await runner.decode([treeSpan(0, position, text.slice(position, position + 1), tree)])
      runner.keepPath(0, path)
      position += 1 + path.length
    }
    await expectFree(freeMax - position)
    runner.truncate(0, 0)
    await expectFree(freeMax)
    empty(runner)
  })

  describe('whatever becomes of it, a tree is gone once its slot is cut', () => {
    test('decoded', async () => {
      makeNeighbour()
      await begin()
      for (const position of [20, 0]) {
        await grow()
        runner.truncate(0, position)
        await expectFree(freeMax - position)
      }
      empty(runner)
    })

    test('aborted', async () => {
      makeNeighbour()
      await begin()
      const running = runner.decode([treeSpan(0, 20, prompt.slice(-1), tree), span(2, 0, prompt.slice(0, 12), 1)])
      runner.abort()
      expect(['aborted', 'decoded']).toContain((await running).kind)
      runner.truncate(0, 20)
      runner.truncate(2, 0)
      await expectFree(freeMax - 20)
      empty(runner)
    })

    test('without cells for it', async () => {
      makeNeighbour()
      await begin()
      await runner.decode([span(2, 0, prompt, 0)])
      expect(await grow()).toEqual({ kind: 'no-cells' })
      runner.truncate(0, 20)
      runner.truncate(2, 0)
      await expectFree(freeMax - 20)
      empty(runner)
    })
  })

  test('misuse is a bug that is found before it reaches the engine', async () => {
    await begin()
    const wrong: Partial<BatchSpan>[] = [
      { parents: [] },
      { parents: [0] },
      { parents: [-1, 5, 0] },
      { parents: Array<number>(8).fill(-1) },
    ]
    for (const parents of wrong)
      await expect(runner.decode([{ ...treeSpan(0, 20, prompt.slice(-1), tree), ...parents }])).rejects.toMatchObject({
        name: 'AssertionError',
      })
    expect(() => runner.keepPath(0, [])).toThrow(/no tree/)
    await grow()
    await expect(runner.decode([span(1, 0, prompt, 1)])).rejects.toThrow(/what stays/)
    expect(() => runner.saveSequence(0)).toThrow(/what stays/)
    expect(() => runner.truncate(0, 23)).toThrow(/inside of its tree/)
    expect(() => runner.keepPath(0, [2])).toThrow(/does not follow/)
    runner.keepPath(0, [0])
    empty(runner)
  })

  test('more paths than there is room for are refused', async () => {
    const nodes = runner.info.forksMax + 2
    const star = { tokens: text.slice(0, nodes), parents: Array<number>(nodes).fill(-1), laws: null }
    await expect(runner.decode([treeSpan(0, 0, prompt, star)])).rejects.toMatchObject({ name: 'AssertionError' })
    const fitting = { tokens: text.slice(0, nodes - 1), parents: Array<number>(nodes - 1).fill(-1), laws: null }
    expect(await runner.decode([treeSpan(0, 0, prompt, fitting)])).toMatchObject({ kind: 'decoded' })
    empty(runner)
  })
}
