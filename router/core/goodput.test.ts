import { describe, expect, test } from 'vitest'
import { failureCodes, type FailureCode } from '#contracts/failure.ts'
import { type Course, judge, outcomeOf } from './goodput.ts'

const slo = { ttftMs: 1_000, tpotMs: 100 }
const course = (changes: Partial<Course>): Course => ({
  outcome: 'completed',
  streaming: true,
  durationMs: 1_500,
  firstTextMs: 500,
  lastTextMs: 1_400,
  tokens: 10,
  ...changes,
})

describe('a stream', () => {
  test('is good when its first text and its mean time per further token are within the SLO', () => {
    expect(judge(course({}), slo)).toEqual({ kind: 'good' })
  })
  test('is lost to its late first token, even when the others were late too', () => {
    expect(judge(course({ firstTextMs: 1_001, lastTextMs: 9_000 }), slo)).toEqual({
      kind: 'lost',
      cause: 'late-first-token',
    })
  })
  test('is lost to late tokens when only those were late', () => {
    expect(judge(course({ lastTextMs: 1_401 }), slo)).toEqual({ kind: 'lost', cause: 'late-tokens' })
  })
  test('without any text is judged by its end', () => {
    expect(judge(course({ firstTextMs: null, lastTextMs: null, durationMs: 900, tokens: 1 }), slo)).toEqual({
      kind: 'good',
    })
  })
})

describe('an answer in one piece', () => {
  test('is good when it took no longer than first token plus tokens allow', () => {
    expect(judge(course({ streaming: false, durationMs: 1_900 }), slo)).toEqual({ kind: 'good' })
    expect(judge(course({ streaming: false, durationMs: 1_901 }), slo)).toEqual({ kind: 'lost', cause: 'late-tokens' })
  })
  test('of one token is lost to its late first token', () => {
    expect(judge(course({ streaming: false, durationMs: 1_001, tokens: 1 }), slo)).toEqual({
      kind: 'lost',
      cause: 'late-first-token',
    })
  })
})

test('each way not to complete has exactly one cause, and the client’s own doing has none', () => {
  const verdicts = (['refused', 'expired', 'failed', 'aborted', 'invalid', 'cancelled'] as const).map((outcome) => {
    const verdict = judge(course({ outcome }), slo)
    return verdict.kind === 'lost' ? verdict.cause : verdict.kind
  })
  expect(verdicts).toEqual(['refused', 'expired', 'failed', 'failed', 'not-counted', 'not-counted'])
})

test('every failure code counts as something', () => {
  for (const code of Object.keys(failureCodes) as FailureCode[]) expect(outcomeOf(code)).toBeTypeOf('string')
})
