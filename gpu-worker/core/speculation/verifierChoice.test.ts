import { expect, test } from 'vitest'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { drawingFor } from './verifierChoice.ts'

const sampling = (more: Partial<Sampling>): Sampling => ({ ...samplingDefaults, seed: 1, seedDrawn: true, ...more })
const free = { hasGrammar: false, seed: 5, lawsPay: true }
const processing = { temperature: 0.7, topK: 40, minP: 0.1, topP: 0.9 }

test('a request without a seed has its drafts drawn as its own tokens are', () => {
  expect(drawingFor(sampling(processing), free)).toEqual({ kind: 'own-chance', processing })
})

test.each([
  ['a seed', sampling({ ...processing, seedDrawn: false }), free],
  ['a grammar', sampling(processing), { ...free, hasGrammar: true }],
  ['too many streams for laws', sampling(processing), { ...free, lawsPay: false }],
  ['a temperature at which draws gain too little', sampling({ ...processing, temperature: 0.6 }), free],
])('with %s they are what wins by the noise of the request', (_, request, how) => {
  expect(drawingFor(request, how)).toMatchObject({ kind: 'same-noise', processing: { topK: 40 }, seed: 5 })
})

test('of a greedy request they are the likeliest tokens', () => {
  expect(drawingFor(sampling({ temperature: 0 }), free)).toBeNull()
})
