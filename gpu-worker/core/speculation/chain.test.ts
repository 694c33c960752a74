import { expect, test } from 'vitest'
import { chainIn, faultOf, verifiable } from './chain.ts'
import type { Law } from './law.ts'
import type { Proposal } from './proposer.ts'
import { chainOf } from './tokenTree.ts'

const request = { key: 1, tokens: [5], tokensMax: 3, depthMax: 3 }
const known = { method: 'ngram', vocabularySize: 100 } as const
const proposal = (more: Partial<Proposal> = {}): Proposal => ({
  key: 1,
  method: 'ngram',
  tree: chainOf([7, 8]),
  confidence: [1, 1],
  ...more,
})

const half: Law = { tokens: Int32Array.of(7, 8), weights: Float64Array.of(0.5, 0.5) }
const drawn = (tokens: number[], laws: Law[]): Proposal =>
  proposal({ tree: { tokens, parents: tokens.map((_, i) => i - 1), laws }, confidence: tokens.map(() => 0.5) })

test('a chain is its own main path, cut where the controller says', () => {
  expect(chainIn(chainOf([7, 8, 9]), 3)).toEqual(chainOf([7, 8, 9]))
  expect(chainIn(chainOf([7, 8, 9]), 2)).toEqual(chainOf([7, 8]))
  expect(chainIn(chainOf([7, 8, 9]), 0)).toEqual(chainOf([]))
})

test('of a tree the path of first children is verified', () => {
  const tree = { tokens: [7, 8, 9, 10, 11], parents: [-1, -1, 0, 1, 2], laws: null }
  expect(chainIn(tree, 5)).toEqual(chainOf([7, 9, 11]))
  expect(chainIn(tree, 2)).toEqual(chainOf([7]))
})

test('it keeps the laws of its draws', () => {
  const tree = { tokens: [7, 8, 8], parents: [-1, -1, 0], laws: [half, { ...half }, { ...half }] }
  expect(chainIn(tree, 3)).toEqual({ tokens: [7, 8], parents: [-1, 0], laws: [half, half] })
})

test('of a tree as much is verified as there may be paths', () => {
  const tree = { tokens: [7, 8, 9, 10, 11], parents: [-1, -1, 0, 0, 2], laws: null }
  expect(verifiable(tree, { nodes: 5, forksMax: 2 })).toEqual(tree)
  expect(verifiable(tree, { nodes: 5, forksMax: 1 }).tokens).toEqual([7, 8, 9])
  expect(verifiable(tree, { nodes: 2, forksMax: 9 }).tokens).toEqual([7, 8])
  expect(verifiable(tree, { nodes: 5, forksMax: 0 })).toEqual(chainOf([7, 9, 11]))
  expect(verifiable(tree, { nodes: 0, forksMax: 2 }).tokens).toEqual([])
})

test('what was asked for is no fault, and neither is less of it', () => {
  expect(faultOf([proposal()], [request], known)).toBeNull()
  expect(faultOf([proposal({ tree: chainOf([]), confidence: [] })], [request], known)).toBeNull()
})

test.each<[string, Proposal[], RegExp]>([
  ['too few answers', [], /0 proposals for 1/],
  ['another sequence', [proposal({ key: 2 })], /about another one/],
  ['another method', [proposal({ method: 'draft' })], /about another one/],
  [
    'too many tokens',
    [proposal({ tree: chainOf([1, 2, 3, 4]), confidence: [1, 1, 1, 1] })],
    /4 tokens where at most 3/,
  ],
  ['no confidence', [proposal({ confidence: [] })], /0 confidences/],
  ['a token out of range', [proposal({ tree: chainOf([1, 100]) })], /token 100/],
  ['half a token', [proposal({ tree: chainOf([1, 0.5]) })], /token 0.5/],
  ['fewer laws than draws', [drawn([7, 8], [half, half].slice(1))], /2 draws of 1 laws/],
  ['a law that holds no number', [drawn([7], [{ ...half, weights: Float64Array.of(Number.NaN, 1) }])], /no law/],
  ['a law that is too much', [drawn([7], [{ ...half, weights: Float64Array.of(0.9, 0.9) }])], /no law/],
  ['a negative chance', [drawn([8], [{ ...half, weights: Float64Array.of(-1, 2) }])], /no law/],
  ['a draw of what its law has not', [drawn([9], [half])], /impossible/],
  ['a child before its parent', [proposal({ tree: { tokens: [1, 2], parents: [1, -1], laws: null } })], /before its/],
])('a fault: %s', (_name, proposals, message) => {
  expect(faultOf(proposals, [request], known)).toMatch(message)
})
