import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mulberry32 } from '#test/simulate/random.ts'
import { chanceFrom } from '../chance.ts'
import { denseModels } from '../models.fixture.ts'
import { depthsOf, type TokenTree } from '../tokenTree.ts'
import { growByThreshold, growGreedily, type ThresholdOptions } from './dySpec.ts'
import { type Build, grow, type Growth } from './grow.ts'
import type { Picking } from './siblings.ts'

const { draft } = denseModels(5)
const someNodes = fc.integer({ min: 0, max: 40 })
const somePicking: fc.Arbitrary<Picking> = fc.oneof(
  fc.constant<Picking>('best'),
  fc.nat().map((seed) => chanceFrom(mulberry32(seed))),
)

/** Chance of each node to be taken, as the draft believes. */
function gainsOf({ tree, confidence }: Growth): number[] {
  const gains: number[] = []
  for (const [node, chance] of confidence.entries()) gains.push(chance * (gains[tree.parents[node] ?? -1] ?? 1))
  return gains
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function expectTree({ tokens, parents, laws }: TokenTree, picking: Picking): void {
  expect(parents.every((parent, node) => parent >= -1 && parent < node)).toBe(true)
  expect(laws?.length ?? null).toBe(picking === 'best' ? null : tokens.length)
  // Without replacement: no node has two children with the same token.
  expect(new Set(tokens.map((token, node) => `${parents[node]}/${token}`)).size).toBe(tokens.length)
}

/** The nodes that were asked for, batch by batch. */
function batchesOf(build: Build): number[] {
  const batches: number[] = []
  let step = build.next([])
  while (step.done !== true) {
    const { tree, nodes } = step.value
    batches.push(nodes.length)
    step = build.next(nodes.map((node) => draft(node < 0 ? [] : [node, tree.tokens[node] ?? 0])))
  }
  return batches
}

describe('the greedy build', () => {
  test('has the size asked for, and every beginning of it is a tree', () => {
    fc.assert(
      fc.property(someNodes, somePicking, (nodesMax, picking) => {
        const { tree } = grow(growGreedily({ picking, nodesMax }), draft)
        expect(tree.tokens.length).toBe(nodesMax)
        expectTree(tree, picking)
      }),
    )
  })

  test('keeps to its depth, also where that leaves fewer nodes', () => {
    const { tree } = grow(growGreedily({ picking: 'best', nodesMax: 1_000, depthMax: 2 }), draft)
    expect(Math.max(...depthsOf(tree))).toBe(2)
    expect(tree.tokens.length).toBe(5 + 25)
  })

  test('by argmax takes the most probable paths: no other tree of its size is expected to gain more', () => {
    const everything = gainsOf(grow(growGreedily({ picking: 'best', nodesMax: 1_000, depthMax: 4 }), draft))
    const best = everything.toSorted((a, b) => b - a)
    for (const nodesMax of [1, 2, 5, 10, 30]) {
      const gains = gainsOf(grow(growGreedily({ picking: 'best', nodesMax, depthMax: 4 }), draft))
      // Values are reached in falling order, gains are v · r: equal sets only up to what a place hides behind its first child.
      expect(sum(gains)).toBeGreaterThan(0.85 * sum(best.slice(0, nodesMax)))
      expect(sum(gains)).toBeLessThan(sum(best.slice(0, nodesMax)) + 1e-12)
    }
  })

  test('expects more of more nodes', () => {
    const expected = [0, 1, 4, 16].map((nodesMax) =>
      sum(gainsOf(grow(growGreedily({ picking: 'best', nodesMax }), draft))),
    )
    expect(expected).toEqual(expected.toSorted((a, b) => a - b))
  })
})

describe('the threshold build', () => {
  const build = (options: Partial<ThresholdOptions>) =>
    growByThreshold({ picking: 'best', nodesMax: 64, valueMin: 0.05, ...options })

  test('asks the draft once for each layer', () => {
    const { tree } = grow(build({}), draft)
    const batches = batchesOf(build({}))
    expect(batches.length).toBeGreaterThan(2)
    expect(batches.length).toBeLessThanOrEqual(Math.max(...depthsOf(tree)) + 1)
    expect(sum(batchesOf(growGreedily({ picking: 'best', nodesMax: 16 })))).toBeGreaterThan(batches.length)
  })

  test('gives nodes to places of that value only, within its bounds', () => {
    fc.assert(
      fc.property(
        someNodes,
        somePicking,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (nodesMax, picking, valueMin) => {
          const growth = grow(build({ picking, nodesMax, valueMin }), draft)
          expect(growth.tree.tokens.length).toBeLessThanOrEqual(nodesMax)
          expectTree(growth.tree, picking)
          const gains = gainsOf(growth)
          for (const parent of growth.tree.parents) expect(gains[parent] ?? 1).toBeGreaterThan(valueMin - 1e-12)
        },
      ),
    )
  })
})
