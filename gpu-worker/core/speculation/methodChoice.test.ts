import { describe, expect, test } from 'vitest'
import { Acceptance } from './acceptance.ts'
import type { RunningSequence } from './controller.ts'
import { MethodChoice, type Prices } from './methodChoice.ts'
import type { ProposerMethod } from './proposer.ts'

const sequence: RunningSequence = { key: 1, contextTokens: 64, tokensMax: 4, methods: ['ngram', 'trigram'] }
const prices: Prices = { stepRatio: (length) => 1 + 0.2 * length, draftRatio: () => 0 }

function stand() {
  const acceptance = new Acceptance()
  const choice = new MethodChoice(acceptance)
  const trials = (method: ProposerMethod, count: number, taken: boolean) => {
    for (let i = 0; i < count; i++) acceptance.tried(method, 1, { depth: 1, confidence: 0.5, taken })
  }
  return { acceptance, choice, trials, choose: () => choice.choose(sequence, prices) }
}

describe('the method of a sequence', () => {
  test('is the preferred one while all are believed to be alike, and none where there is none', () => {
    const { choice, choose } = stand()
    expect(choose()).toBe('ngram')
    expect(choice.choose({ ...sequence, methods: [] }, prices)).toBeNull()
  })

  test('changes where another is better by more than changing costs', () => {
    const { trials, choose } = stand()
    expect(choose()).toBe('ngram')
    trials('ngram', 40, false)
    expect(choose()).toBe('trigram')
  })

  test('is passed over once where it had nothing to say, and then heard again', () => {
    const { choice, choose } = stand()
    choose()
    choice.asked(1, 'ngram', 0)
    expect([choose(), choose()]).toEqual(['trigram', 'ngram'])
  })

  test('stays where the others pay less than nothing', () => {
    const { choice, trials, choose } = stand()
    trials('trigram', 60, false)
    choose()
    choice.asked(1, 'ngram', 0)
    expect(choose()).toBe('ngram')
  })

  test('is now and then one that is hardly known', () => {
    const { trials, choose } = stand()
    trials('ngram', 60, true)
    const heard = Array.from({ length: 96 }, choose)
    expect(heard.filter((method) => method === 'trigram')).toHaveLength(2)
    trials('trigram', 30, false)
    expect(Array.from({ length: 96 }, choose)).not.toContain('trigram')
  })
})
