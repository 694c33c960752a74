import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideRisk } from './riskDecision.ts'

const thresholds = { answerBelow: 0.2, escalateFrom: 0.5 }
const calibrated = { isCalibrated: true, isSecond: false }

test.each([
  [0, 'answer', 'sure'],
  [0.199, 'answer', 'sure'],
  [0.2, 'reprompt', 'doubtful'],
  [0.499, 'reprompt', 'doubtful'],
  [0.5, 'escalate', 'risky'],
  [1, 'escalate', 'risky'],
  [null, 'escalate', 'unscored'],
] as const)('a risk of %s: %s, because %s', (risk, kind, cause) => {
  expect(decideRisk({ ...calibrated, risk }, thresholds)).toEqual({ kind, cause })
})

test('a second try is given below the upper threshold, and there is no third', () => {
  const second = { isCalibrated: true, isSecond: true }
  expect(decideRisk({ ...second, risk: 0.3 }, thresholds)).toEqual({ kind: 'answer', cause: 'better' })
  expect(decideRisk({ ...second, risk: 0.5 }, thresholds)).toEqual({ kind: 'escalate', cause: 'risky' })
})

test('nothing is answered without a calibration or a score, and never from the upper threshold on', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(fc.option(share), fc.boolean(), fc.boolean(), share, share, (risk, isCalibrated, isSecond, a, b) => {
      const [answerBelow, escalateFrom] = [Math.min(a, b), Math.max(a, b)]
      const { kind } = decideRisk({ risk, isCalibrated, isSecond }, { answerBelow, escalateFrom })
      if (!isCalibrated || risk === null || risk >= escalateFrom) expect(kind).toBe('escalate')
      else expect(kind).not.toBe('escalate')
      if (isSecond) expect(kind).not.toBe('reprompt')
    }),
  )
})
