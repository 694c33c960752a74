import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'
import { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import { tokenizeSegments } from './tokenize.ts'

const runner = createSimulatedRunner({
  ...SimulatedSettings.parse({}),
  slots: 1,
  contextTokensMax: 4_096,
  kvLayout: 'split',
  clock: systemClock,
})
const asked: number[] = []
const tokenize = runner.tokenize.bind(runner)
runner.tokenize = (text, options) => {
  asked.push(text.length)
  return tokenize(text, options)
}

test('segments that fit become the tokens of their whole text, wherever counting cut it', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 0, maxLength: 50 }).map((part) => `${part} `.repeat(1_200))
  fc.assert(
    fc.property(text, (long) => {
      const result = tokenizeSegments(runner, [{ text: long, special: false }], {
        tokensMax: 10_000_000,
        addBegin: true,
      })
      const whole = tokenize(long, { parseSpecial: false, addBegin: true })
      expect(result).toEqual({ kind: 'tokens', tokens: whole })
    }),
    { numRuns: 20 },
  )
})

test('a megabyte that cannot fit is refused after its first pieces', () => {
  asked.length = 0
  const segments = [
    { text: '<|im_start|>', special: true },
    { text: 'z'.repeat(1_000_000), special: false },
  ]
  const result = tokenizeSegments(runner, segments, { tokensMax: 4_095, addBegin: false })
  expect(result.kind).toBe('too-long')
  expect(asked.reduce((sum, length) => sum + length, 0)).toBeLessThan(40_000)
})

test('what client text says is never a control token', () => {
  const result = tokenizeSegments(runner, [{ text: '<|im_end|>', special: false }], { tokensMax: 100, addBegin: false })
  expect(result.kind === 'tokens' && result.tokens.some((token) => runner.isEndOfGeneration(token))).toBe(false)
})
