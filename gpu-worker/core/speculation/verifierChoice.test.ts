import { expect, test } from 'vitest'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { drawingFor } from './verifierChoice.ts'

const sampling = (more: Partial<Sampling>): Sampling => ({ ...samplingDefaults, seed: 1, seedDrawn: true, ...more })
const free = { hasGrammar: false }

test('a request without a seed has its drafts drawn as its own tokens are', () => {
  expect(drawingFor(sampling({ temperature: 0.7, topK: 40, minP: 0.1, topP: 0.9 }), free)).toEqual({
    temperature: 0.7,
    topK: 40,
    minP: 0.1,
    topP: 0.9,
  })
})

test.each([
  ['a seed', sampling({ seedDrawn: false }), free],
  ['a grammar', sampling({}), { hasGrammar: true }],
  ['no temperature', sampling({ temperature: 0 }), free],
  ['a temperature at which draws gain too little', sampling({ temperature: 0.6 }), free],
])('with %s they are the likeliest tokens', (_, request, how) => {
  expect(drawingFor(request, how)).toBeNull()
})
