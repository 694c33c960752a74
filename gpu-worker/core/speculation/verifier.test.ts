import { describe, expect, test } from 'vitest'
import { branchingShape, type Drawing, growShape, pathsShape } from './builders/shape.ts'
import { grow } from './builders/grow.ts'
import { emissionsOf, errorOf, outcomesOf } from './enumeration.fixture.ts'
import { generatedModels } from './models.fixture.ts'
import type { Verifier } from './verifier.ts'
import { greedyMultiDraft } from './verifiers/greedyMultiDraft.ts'
import { kSeq } from './verifiers/kSeq.ts'
import { oneSample } from './verifiers/oneSample.ts'
import { recursiveRejection } from './verifiers/recursiveRejection.ts'
import { rejection } from './verifiers/rejection.ts'

const served: readonly (readonly [Verifier, readonly Drawing[]])[] = [
  [rejection, ['independent', 'without-replacement', 'top-and-draw']],
  [recursiveRejection, ['independent', 'without-replacement', 'top-and-draw']],
  [kSeq, ['independent']],
  [greedyMultiDraft, ['top-and-draw']],
  [oneSample, ['independent', 'without-replacement', 'top-and-draw']],
]

const shapes = {
  nothing: [],
  'one token': [-1],
  'a chain of two': [-1, 0],
  'a chain of three': [-1, 0, 1],
  'two children': branchingShape([2]),
  'three children': branchingShape([3]),
  'two by two': branchingShape([2, 2]),
  unequal: [-1, -1, 0, 0, 2],
  'two paths of two': pathsShape(2, 2),
  'three paths of two': pathsShape(3, 2),
} as const

describe.each(served.flatMap(([verifier, drawings]) => drawings.map((drawing) => ({ verifier, drawing }))))(
  '$verifier.name on drafts drawn $drawing',
  ({ verifier, drawing }) => {
    test.each(Object.entries(shapes))('emits the law of the target: %s', (_, parents) => {
      for (const vocabulary of [2, 3, 4]) {
        // A few hundred trees are enough.
        if (vocabulary ** parents.length > (vocabulary === 4 ? 64 : 256)) continue
        for (const models of generatedModels(vocabulary)) {
          const { target, draft, name } = models
          const trees = outcomesOf((chance) => grow(growShape({ parents, drawing, chance }), draft).tree)
          expect(errorOf(emissionsOf({ trees, verifier, target }), target), name).toBeLessThan(1e-12)
        }
      }
    })
  },
)
