import { expect, test } from 'vitest'
import { faultOf, mainPath } from './chain.ts'
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

test('a chain is its own main path, cut where the controller says', () => {
  expect(mainPath(chainOf([7, 8, 9]), 3)).toEqual([7, 8, 9])
  expect(mainPath(chainOf([7, 8, 9]), 2)).toEqual([7, 8])
  expect(mainPath(chainOf([7, 8, 9]), 0)).toEqual([])
})

test('of a tree the path of first children is verified', () => {
  const tree = { tokens: [7, 8, 9, 10, 11], parents: [-1, -1, 0, 1, 2], laws: null }
  expect(mainPath(tree, 5)).toEqual([7, 9, 11])
  expect(mainPath(tree, 2)).toEqual([7])
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
  ['a child before its parent', [proposal({ tree: { tokens: [1, 2], parents: [1, -1], laws: null } })], /before its/],
])('a fault: %s', (_name, proposals, message) => {
  expect(faultOf(proposals, [request], known)).toMatch(message)
})
