/**
 * What makes drafting lossless and what breaks it, by exact enumeration. The second half is made of mistakes that were really made
 * somewhere: if one of them passed, the proofs in `verifier.test.ts` would be worth nothing.
 */
import { describe, expect, expectTypeOf, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import { greedyAcceptance, optimalWithoutReplacement, optimalWithReplacement } from './bound.ts'
import { growByThreshold, growGreedily } from './builders/dySpec.ts'
import { type Build, grow, type LawsWanted } from './builders/grow.ts'
import { branchingShape, type Drawing, growShape, pathsShape } from './builders/shape.ts'
import { verifiable } from './chain.ts'
import { type Chance, chanceFrom } from './chance.ts'
import { acceptanceOf, emissionsOf, errorOf, type Model, outcomesOf } from './enumeration.fixture.ts'
import { type Law, lawOf, probabilityOf } from './law.ts'
import { denseModels, generatedLaws, generatedModels } from './models.fixture.ts'
import { beginningOf, chainOf, pathOf, root, type TokenTree } from './tokenTree.ts'
import { leavesOf } from './treeSequences.ts'
import type { Round, Verdict, Verifier } from './verifier.ts'
import { greedyMultiDraft } from './verifiers/greedyMultiDraft.ts'
import { kSeq } from './verifiers/kSeq.ts'
import { coupled, oneSample } from './verifiers/oneSample.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'
import { rejection } from './verifiers/rejection.ts'

const exact = 1e-12
const visible = 1e-3

function errorFor(options: {
  readonly build: (chance: Chance) => TokenTree
  readonly verifier: Verifier
  readonly target: Model
}): number {
  const { build, verifier, target } = options
  return errorOf(emissionsOf({ trees: outcomesOf(build), verifier, target }), target)
}

describe('trees whose shape depends on the tokens drawn are judged without bias', () => {
  const builds: Record<string, (chance: Chance) => Build> = {
    'greedy, 3 nodes': (chance) => growGreedily({ picking: chance, nodesMax: 3 }),
    'greedy, 4 nodes': (chance) => growGreedily({ picking: chance, nodesMax: 4 }),
    'greedy, 4 nodes, depth 1': (chance) => growGreedily({ picking: chance, nodesMax: 4, depthMax: 1 }),
    'threshold 0.3': (chance) => growByThreshold({ picking: chance, nodesMax: 5, valueMin: 0.3 }),
    'threshold 0.1, 5 nodes, one path': (chance) =>
      growByThreshold({ picking: chance, nodesMax: 5, valueMin: 0.1, widthMax: 1 }),
    'threshold 0.1, 4 nodes': (chance) => growByThreshold({ picking: chance, nodesMax: 4, valueMin: 0.1 }),
  }
  test.each(Object.entries(builds))('%s', (_, buildOf) => {
    for (const { target, draft, name } of [2, 3].flatMap(generatedModels)) {
      const build = (chance: Chance) => grow(buildOf(chance), draft).tree
      for (const verifier of [rejection, recursiveRejection, oneSample])
        expect(errorFor({ build, verifier, target }), `${verifier.name}, ${name}`).toBeLessThan(exact)
    }
  })

  test('a beginning of a tree, cut at a number fixed in advance, is judged without bias too', () => {
    for (const { target, draft } of generatedModels(3)) {
      for (const nodes of [0, 1, 2, 3]) {
        const build = (chance: Chance) =>
          beginningOf(grow(growGreedily({ picking: chance, nodesMax: 4 }), draft).tree, nodes)
        expect(errorFor({ build, verifier: recursiveRejection, target })).toBeLessThan(exact)
      }
    }
  })

  test('so is one that is cut to the paths that can be verified, and the chain in it where none can fork', () => {
    for (const { target, draft } of generatedModels(3)) {
      for (const forksMax of [0, 1]) {
        const build = (chance: Chance) => {
          const { tree } = grow(growByThreshold({ picking: chance, nodesMax: 4, valueMin: 0.15 }), draft)
          return verifiable(tree, { nodes: 4, forksMax })
        }
        expect(errorFor({ build, verifier: recursiveRejection, target })).toBeLessThan(exact)
      }
    }
  })

  test('the best tokens instead of draws are fine for whoever needs no law', () => {
    for (const { target, draft } of generatedModels(3)) {
      const build = () => grow(growGreedily({ picking: 'best', nodesMax: 6 }), draft).tree
      expect(errorFor({ build, verifier: oneSample, target })).toBeLessThan(exact)
    }
  })

  test('whoever judges by laws refuses a tree that names none', () => {
    const build = () => chainOf([1, 2])
    for (const verifier of [rejection, recursiveRejection, kSeq, greedyMultiDraft])
      expect(() => errorFor({ build, verifier, target: () => lawOf([1, 1]) }), verifier.name).toThrow(/has no law/)
  })
})

describe('a rule that stops drafting', () => {
  /** Draws a chain; after each token, what was drawn so far says whether there is another one. */
  const chainUntil = (chance: Chance, draft: Model, goesOn: (path: readonly number[]) => boolean): TokenTree => {
    const path: number[] = []
    const laws: Law[] = []
    while (path.length < 2 && goesOn(path)) {
      const law = draft(path)
      laws.push(law)
      path.push(chance.draw(law))
    }
    return chainOf(path, laws)
  }

  test('may look at every token drawn before the next one', () => {
    for (const { target, draft } of generatedModels(3)) {
      const build = (chance: Chance) => chainUntil(chance, draft, ([first]) => first !== 1)
      expect(errorFor({ build, verifier: rejection, target })).toBeLessThan(exact)
    }
  })

  test('must not drop a token for what it is: biased where drafts are judged by their laws', () => {
    const { target, draft } = denseModels(3)
    const dropping = (chance: Chance) => {
      const tree = chainUntil(chance, draft, () => true)
      return tree.tokens[0] === 1 ? beginningOf(tree, 0) : tree
    }
    expect(errorFor({ build: dropping, verifier: rejection, target })).toBeGreaterThan(visible)
    expect(errorFor({ build: dropping, verifier: recursiveRejection, target })).toBeGreaterThan(visible)
    expect(errorFor({ build: dropping, verifier: oneSample, target })).toBeLessThan(exact)
  })

  test('must not look at the target', () => {
    const { target, draft } = denseModels(3)
    const peeking = (chance: Chance) => {
      const tree = chainUntil(chance, draft, () => true)
      const isLikely = probabilityOf(target([]), tree.tokens[0] ?? 0) > 0.3
      return isLikely ? tree : beginningOf(tree, 0)
    }
    expect(errorFor({ build: peeking, verifier: rejection, target })).toBeGreaterThan(visible)
  })
})

describe('builders see the draft only', () => {
  test('by type: what goes in are laws of the draft and chance', () => {
    expectTypeOf<Parameters<Build['next']>>().toEqualTypeOf<[] | [readonly Law[]]>()
    expectTypeOf<keyof LawsWanted>().toEqualTypeOf<'tree' | 'nodes'>()
    expectTypeOf<Parameters<typeof growGreedily>[0]['picking']>().toEqualTypeOf<Chance | 'best'>()
    expectTypeOf<keyof Parameters<typeof growShape>[0]>().toEqualTypeOf<'parents' | 'drawing' | 'chance'>()
  })

  test('every law is asked for once, and only after nodes that exist', () => {
    const random = createRandom(3)
    const asked: string[] = []
    const build = growGreedily({ picking: chanceFrom(() => random.next()), nodesMax: 12 })
    grow(build, (path) => {
      asked.push(path.join())
      return lawOf([0.4, 0.3, 0.2, 0.1])
    })
    expect(new Set(asked).size).toBe(asked.length)
  })
})

describe('no verifier accepts more than is possible', () => {
  const accepted = (options: { verifier: Verifier; drawing: Drawing; drafts: number; p: Law; q: Law }) => {
    const { verifier, drawing, drafts, p, q } = options
    const shape = { parents: branchingShape([drafts]), drawing }
    const trees = outcomesOf((chance) => grow(growShape({ ...shape, chance }), () => q).tree)
    return acceptanceOf(emissionsOf({ trees, verifier, target: () => p }))
  }
  const random = createRandom(11)
  const cases = Array.from({ length: 40 }, (_, i) => ({
    laws: generatedLaws(random, 3 + (i % 2)),
    drafts: 1 + (i % 3),
  }))

  test('with replacement', () => {
    for (const {
      laws: [p, q],
      drafts,
    } of cases) {
      const bound = optimalWithReplacement(p, q, drafts)
      for (const verifier of [rejection, recursiveRejection, kSeq, oneSample])
        expect(accepted({ verifier, drawing: 'independent', drafts, p, q })).toBeLessThan(bound + exact)
      // The guarantee of SpecTr.
      const least = 1 - (1 - 1 / drafts) ** drafts
      expect(accepted({ verifier: kSeq, drawing: 'independent', drafts, p, q })).toBeGreaterThan(least * bound - exact)
    }
  })

  test('without replacement', () => {
    for (const {
      laws: [p, q],
      drafts,
    } of cases) {
      const bound = optimalWithoutReplacement(p, q, drafts)
      for (const verifier of [rejection, recursiveRejection, oneSample])
        expect(accepted({ verifier, drawing: 'without-replacement', drafts, p, q })).toBeLessThan(bound + exact)
    }
  })

  test('the greedy scheme reaches exactly its own optimum', () => {
    for (const {
      laws: [p, q],
      drafts,
    } of cases) {
      const value = accepted({ verifier: greedyMultiDraft, drawing: 'top-and-draw', drafts, p, q })
      expect(value).toBeCloseTo(greedyAcceptance(p, q, drafts), 12)
    }
  })

  test('one draft: rejection is optimal', () => {
    for (const {
      laws: [p, q],
    } of cases)
      expect(accepted({ verifier: rejection, drawing: 'independent', drafts: 1, p, q })).toBeCloseTo(
        optimalWithReplacement(p, q, 1),
        12,
      )
  })
})

describe('the coupled verifier', () => {
  test('emits what the chooser says, as far down as a draft has it', () => {
    const tree = { tokens: [4, 5, 6, 7], parents: [-1, -1, 1, 2], laws: null }
    const said = new Map([
      [-1, 5],
      [1, 6],
      [2, 9],
    ])
    const asked: number[] = []
    const verdict = coupled((node) => {
      asked.push(node)
      return said.get(node) ?? 0
    }).verify({ tree })
    expect(verdict).toEqual({ path: [1, 2], token: 9 })
    expect(asked).toEqual([-1, 1, 2])
  })

  test('gives the same text whatever was drafted', () => {
    const truth = [3, 1, 2, 2, 0]
    const random = createRandom(5)
    for (let round = 0; round < 200; round++) {
      const build = growGreedily({ picking: chanceFrom(() => random.next()), nodesMax: round % 9 })
      const { tree } = grow(build, () => lawOf([1, 1, 2, 3]))
      const choose = (node: number) => truth[pathOf(tree, node).length] ?? 0
      const { path, token } = coupled(choose).verify({ tree })
      const text = [...path.map((node) => tree.tokens[node]), token]
      expect(text).toEqual(truth.concat(Array<number>(9).fill(0)).slice(0, text.length))
    }
  })
})

describe('biased, as they should be found', () => {
  const { target, draft } = denseModels(3)

  test("ADED's released draw, one for each path: a node that two paths share gets two attempts", () => {
    const perPath: Verifier = {
      name: 'a draw for each path',
      needs: 'nothing',
      verify: (round) =>
        leavesOf(round.tree)
          .map((leaf) => alongOnePath(round, lineOf(round.tree, leaf)))
          .reduce((longest, one) => (one.path.length > longest.path.length ? one : longest)),
    }
    const tree = { tokens: [0, 1, 2], parents: [-1, 0, 0], laws: null }
    expect(errorFor({ build: () => tree, verifier: perPath, target })).toBeGreaterThan(visible)
    expect(errorFor({ build: () => tree, verifier: oneSample, target })).toBeLessThan(exact)
  })

  test('keeping the best of the nodes drawn (EAGLE-2)', () => {
    const keepingBest = (chance: Chance) => {
      const { tree } = grow(growShape({ parents: branchingShape([2]), drawing: 'without-replacement', chance }), draft)
      const [best] = [0, 1].sort((a, b) => chanceOf(tree, draft, b) - chanceOf(tree, draft, a))
      return { tokens: [tree.tokens[best ?? 0] ?? 0], parents: [-1], laws: [draft([])] }
    }
    expect(errorFor({ build: keepingBest, verifier: recursiveRejection, target })).toBeGreaterThan(visible)
  })

  test('equal drafts merged before K-SEQ has counted them', () => {
    const merged = (chance: Chance) => {
      const { tree } = grow(growShape({ parents: pathsShape(3, 1), drawing: 'independent', chance }), draft)
      const tokens = [...new Set(tree.tokens)]
      return { tokens, parents: tokens.map(() => -1), laws: tokens.map(() => draft([])) }
    }
    expect(errorFor({ build: merged, verifier: kSeq, target })).toBeGreaterThan(visible)
  })

  test('K-SEQ on draws without replacement', () => {
    const build = (chance: Chance) =>
      grow(growShape({ parents: branchingShape([2]), drawing: 'without-replacement', chance }), draft).tree
    expect(errorFor({ build, verifier: kSeq, target })).toBeGreaterThan(visible)
  })

  test('laws that are not those the tokens were drawn from', () => {
    const misnamed = (chance: Chance) => {
      const { tree } = grow(growShape({ parents: [-1], drawing: 'independent', chance }), draft)
      return { ...tree, laws: [lawOf([1, 1, 1])] }
    }
    expect(errorFor({ build: misnamed, verifier: rejection, target })).toBeGreaterThan(visible)
  })
})

function chanceOf(tree: TokenTree, draft: Model, node: number): number {
  return probabilityOf(draft([]), tree.tokens[node] ?? 0)
}

/** Own draws at each position of this path, as long as they say what it says. */
function alongOnePath(round: Round, line: readonly number[]): Verdict {
  const emit = (path: readonly number[]) => round.chance.draw(round.targetLaw(path.at(-1) ?? root))
  const path: number[] = []
  for (const node of line) {
    const token = emit(path)
    if (token !== round.tree.tokens[node]) return { path, token }
    path.push(node)
  }
  return { path, token: emit(path) }
}

function lineOf(tree: TokenTree, node: number): number[] {
  return node < 0 ? [] : [...lineOf(tree, tree.parents[node] ?? -1), node]
}
