import { describe, expect, test } from 'vitest'
import type { Work } from '#contracts/messages.ts'
import { RiskSource } from '#contracts/resources/riskRoute.ts'
import type { RiskPolicy } from '#contracts/riskPolicy.ts'
import { evidenceOf, repromptOf } from './reprompt.ts'
import type { Votes } from './riskVotes.ts'

const sources = ['sum', 'form', 'quiet'].map((name) => RiskSource.parse({ name, validator: { check: 'json' } }))
const plain = { sources, labels: [] }
const votes = (given: readonly (number | null)[], ownLabel = 0): Votes => ({
  votes: given,
  ownLabel,
  signals: {
    meanLogProbability: null,
    leastLogProbability: null,
    answerCharactersLog: 0,
    agreement: null,
    ranking: null,
  },
})
const chat: Work = { kind: 'chat', messages: [{ role: 'user', content: '1+1?' }] }

describe('the evidence', () => {
  test('is what votes for another label, by name; what agrees or abstains is none', () => {
    expect(evidenceOf(plain, votes([1, 0, null]))).toEqual([
      'the check "sum" (json) of the answer, which says that the answer is wrong',
    ])
  })

  test('says which label it is for, of a classification', () => {
    const labels = ['spam', 'ham'].map((name) => ({ name, pattern: name }))
    expect(evidenceOf({ sources, labels }, votes([0, 1, null], 1))).toEqual([
      'the check "sum" (json) of the answer, which says that it is "spam"',
    ])
  })
})

describe('the second try', () => {
  const mode = (reprompt: RiskPolicy['reprompt']) => ({ ...plain, reprompt })

  test('shows the model its answer behind what was said, and asks it to look again', () => {
    const again = repromptOf(chat, '3', mode('selfExamination'), votes([1, 1, 1]))
    expect(again).toMatchObject({
      kind: 'chat',
      messages: [{ role: 'user', content: '1+1?' }, { role: 'assistant', content: '3' }, { role: 'user' }],
    })
    expect(JSON.stringify(again)).toContain('"Look at your answer again.')
  })

  test('with self-supervision says what was found; where nothing was, it only asks', () => {
    const said = (given: readonly (number | null)[]) =>
      JSON.stringify(repromptOf(chat, '3', mode('selfSupervision'), votes(given)))
    expect(said([1, null, null])).toContain('Checks of your answer found: the check')
    expect(said([0, null, null])).not.toContain('Checks of your answer')
  })

  test('of a text goes on behind it; of token ids there is none', () => {
    const completion = (prompt: string | number[]): Work => ({ kind: 'completion', prompt, echo: false })
    const again = repromptOf(completion('1+1='), '3', mode('selfExamination'), votes([]))
    expect(again?.kind === 'completion' ? again.prompt : null).toMatch(/^1\+1=3\n\nLook at/)
    expect(repromptOf(completion([1, 2]), '3', mode('selfExamination'), votes([]))).toBeNull()
  })
})
