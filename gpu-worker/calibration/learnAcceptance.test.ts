import { expect, test } from 'vitest'
import { createRandom } from '#test/simulate/random.ts'
import type { LearnedHead } from '../acceptanceHeadFile.ts'
import type { HeadExample } from '../core/speculation/stopping/acceptanceHead.ts'
import { learnAcceptance } from './learnAcceptance.ts'

const options = { rejectionWeight: 1, heldOutShare: 0.2, seed: 1 }

/** A draft that is surer of itself than it may be. */
function requests(count: number): HeadExample[][] {
  const random = createRandom(7)
  return Array.from({ length: count }, () =>
    Array.from({ length: 60 }, () => {
      const chance = 0.2 + 0.79 * random.next()
      const law = { chanceMax: chance, entropy: 3 * (1 - chance), margin: chance / 2 }
      return { position: random.int(1, 4), product: chance, token: { chance, law }, taken: chance ** 2 }
    }),
  )
}

function learned(...given: Parameters<typeof learnAcceptance>): LearnedHead {
  const head = learnAcceptance(...given)
  if (head === null) throw new Error('nothing was learned')
  return head
}

test('a head is examined on other requests than it was trained on, beats the constant, and is nearer to the truth than the draft', () => {
  const { heldOut, trained } = learned(requests(20), options)
  expect([heldOut.requests, trained.requests]).toEqual([4, 16])
  expect([heldOut.examples, trained.examples]).toEqual([240, 960])
  expect(heldOut.loss).toBeLessThan(heldOut.lossOfConstant)
  expect(heldOut.error).toBeLessThan(0.05)
  expect(heldOut.errorOfDraft).toBeGreaterThan(0.1)
  expect(heldOut.calibration.length).toBeGreaterThan(5)
})

test('what rejections weigh more in training is taken back where chances are compared with what came true', () => {
  const { heldOut } = learned(requests(20), { ...options, rejectionWeight: 6 })
  expect(heldOut.error).toBeLessThan(0.05)
})

test('the same requests give the same head, and requests without an answer count for nothing', () => {
  const given = requests(10)
  expect(learnAcceptance([...given, []], options)).toEqual(learnAcceptance(given, options))
})

test('of too few requests nothing is learned', () => {
  expect(learnAcceptance(requests(1), options)).toBeNull()
  expect(learnAcceptance([[], []], options)).toBeNull()
})
