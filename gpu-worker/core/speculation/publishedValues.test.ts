/** Figures of the papers' worked examples, each as it was computed for itself, apart from this code. */
import { describe, expect, test } from 'vitest'
import { growByThreshold, growGreedily } from './builders/dySpec.ts'
import { grow } from './builders/grow.ts'
import { branchingShape, type Drawing, growShape } from './builders/shape.ts'
import { acceptanceOf, emissionsOf, lawOfText, outcomesOf } from './enumeration.fixture.ts'
import { lawOf, type Law, overlap, residual } from './law.ts'
import type { Verifier } from './verifier.ts'
import { greedyMultiDraft } from './verifiers/greedyMultiDraft.ts'
import { kSeq, planKSeq } from './verifiers/kSeq.ts'
import { oneSample } from './verifiers/oneSample.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'
import { rejection } from './verifiers/rejection.ts'

const p = lawOf([0.5, 0.3, 0.2])
const q = lawOf([0.2, 0.3, 0.5])

describe('one node, target (.5 .3 .2), draft (.2 .3 .5)', () => {
  const table: readonly (readonly [Verifier, Drawing, number, number])[] = [
    [rejection, 'independent', 1, 0.7],
    [recursiveRejection, 'independent', 2, 0.76],
    [kSeq, 'independent', 2, 0.791355],
    [recursiveRejection, 'without-replacement', 2, 0.82],
    [greedyMultiDraft, 'top-and-draw', 2, 0.9],
    [kSeq, 'independent', 1, 0.7],
    [kSeq, 'independent', 4, 0.9060072],
  ]
  const named = table.map(([verifier, drawing, drafts, accepted]) => ({ verifier, drawing, drafts, accepted }))
  test.each(named)('$verifier.name accepts $accepted of $drafts drafts drawn $drawing', (given) => {
    const { verifier, drawing, drafts, accepted } = given
    const emissions = emissionsOfOneNode({ verifier, drawing, drafts })
    expect(acceptanceOf(emissions)).toBeCloseTo(accepted, 6)
    expectLaw(
      lawOfText(emissions, () => p, 1),
      [0.5, 0.3, 0.2],
    )
  })

  test('the overlap is 0.7 and the residual all on the first token', () => {
    expect(overlap(p, q)).toBeCloseTo(0.7, 14)
    expect(residual(p, q)).toEqual(lawOf([1]))
    expect(residual(p, p)).toBeNull()
  })
})

describe('K-SEQ', () => {
  test.each([
    [2, 1.4567764, 0.7913553],
    [4, 2.0300358, 0.9060072],
    [8, 2.4228876, 0.9845775],
  ])('%i drafts: rho* %f, acceptance %f', (drafts, rho, acceptance) => {
    const plan = planKSeq(p, q, drafts)
    expect(plan.rho).toBeCloseTo(rho, 7)
    expect(plan.acceptance).toBeCloseTo(acceptance, 7)
  })

  test('two drafts: beta 0.5432236, and a residual that is all on the first token', () => {
    const { rho, beta, acceptance } = planKSeq(p, q, 2)
    expect(beta).toBeCloseTo(0.5432236, 7)
    const left = [0, 1, 2].map(
      (x) => (p.weights[x] ?? 0) - (Math.min((p.weights[x] ?? 0) / rho, q.weights[x] ?? 0) * acceptance) / beta,
    )
    expect(left[0]).toBeCloseTo(1 - acceptance, 12)
    expect(left[1]).toBeCloseTo(0, 12)
    expect(left[2]).toBeCloseTo(0, 12)
  })

  test('one draft is single-draft rejection: rho 1', () => {
    expect(planKSeq(p, q, 1)).toEqual({ rho: 1, beta: 0.7, acceptance: 0.7 })
  })

  test('without the search, at rho = 2, two drafts would be worse than one', () => {
    const beta = [0, 1, 2].reduce((sum, x) => sum + Math.min((p.weights[x] ?? 0) / 2, q.weights[x] ?? 0), 0)
    expect(beta).toBeCloseTo(0.45, 14)
    expect(1 - (1 - beta) ** 2).toBeCloseTo(0.6975, 14)
  })

  test('two drafts reach at least 3/4 of the optimum', () => {
    const { acceptance } = planKSeq(p, q, 2)
    expect(acceptance).toBeGreaterThan(0.75 * 0.86)
    expect(acceptance).toBeLessThan(0.86)
  })
})

describe('DySpec by argmax, root (.6 .3 .1)', () => {
  const laws: Readonly<Record<string, Law>> = {
    '': lawOf([0.6, 0.3, 0.1]),
    '0': lawOf([0.5, 0.4, 0.1]),
    '1': lawOf([0.7, 0.2, 0.1]),
  }
  const draft = (path: readonly number[]) => laws[path.join()] ?? lawOf([0.8, 0.1, 0.1])

  test('five nodes: their order, their values and 1.68 tokens expected', () => {
    const { tree, confidence } = grow(growGreedily({ picking: 'best', nodesMax: 5 }), draft)
    expect(tree).toEqual({ tokens: [0, 0, 1, 1, 0], parents: [-1, 0, -1, 0, 1], laws: null })
    const gains: number[] = []
    for (const [node, chance] of confidence.entries()) gains.push(chance * (gains[tree.parents[node] ?? -1] ?? 1))
    for (const [node, gain] of [0.6, 0.3, 0.3, 0.24, 0.24].entries()) expect(gains[node]).toBeCloseTo(gain, 14)
    expect(gains.reduce((sum, gain) => sum + gain, 0)).toBeCloseTo(1.68, 14)
  })

  test('the threshold build has a node wherever the value is at least t', () => {
    const { tree } = grow(growByThreshold({ picking: 'best', nodesMax: 99, valueMin: 0.29 }), draft)
    // Values: root 1, .4 | under 0: .6, .3 | under 1: .3 | under 00: .3; all else is below .29.
    const paths = tree.tokens.map((_, node) => pathText(tree, node))
    expect(paths).toEqual(['0', '1', '0,0', '0,1', '1,0', '0,0,0'])
  })
})

describe('a target that is sure of itself', () => {
  test('is followed token by token, whatever the tree and the verifier', () => {
    const path = [2, 0, 1, 1]
    const target = (before: readonly number[]) => lawOf([0, 1, 2].map((x) => (x === path[before.length] ? 1 : 0)))
    for (const verifier of [rejection, recursiveRejection, oneSample]) {
      const trees = outcomesOf(
        (chance) => grow(growGreedily({ picking: chance, nodesMax: 4 }), () => lawOf([0.2, 0.3, 0.5])).tree,
      )
      for (const { tokens } of emissionsOf({ trees, verifier, target }))
        expect(tokens).toEqual(path.slice(0, tokens.length))
    }
  })
})

function emissionsOfOneNode(options: { verifier: Verifier; drawing: Drawing; drafts: number }) {
  const parents = branchingShape([options.drafts])
  const trees = outcomesOf((chance) => grow(growShape({ parents, drawing: options.drawing, chance }), () => q).tree)
  return emissionsOf({ trees, verifier: options.verifier, target: () => p })
}

function expectLaw(law: ReadonlyMap<string, number>, expected: readonly number[]): void {
  for (const [token, chance] of expected.entries()) expect(law.get(String(token))).toBeCloseTo(chance, 12)
}

function pathText(tree: { tokens: readonly number[]; parents: readonly number[] }, node: number): string {
  const parent = tree.parents[node] ?? -1
  const token = String(tree.tokens[node])
  return parent < 0 ? token : `${pathText(tree, parent)},${token}`
}
