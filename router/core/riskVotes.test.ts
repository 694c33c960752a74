import { describe, expect, test } from 'vitest'
import { RiskSource } from '#contracts/resources/riskRoute.ts'
import type { RiskPolicy } from '#contracts/riskPolicy.ts'
import type { Checked } from './riskChecks.ts'
import { checksOf, type Findings, firstLabel, votesOf } from './riskVotes.ts'

const plain = (sources: readonly object[]): Pick<RiskPolicy, 'labels' | 'sources'> => ({
  labels: [],
  sources: sources.map((source, i) => RiskSource.parse({ name: `s${i}`, ...source })),
})
const mail = (sources: readonly object[]): Pick<RiskPolicy, 'labels' | 'sources'> => ({
  ...plain(sources),
  labels: [
    { name: 'spam', pattern: 'spam' },
    { name: 'ham', pattern: 'ham' },
  ],
})
const findings = (found: Partial<Findings> = {}): Findings => ({
  texts: { question: 'What is 1 + 1?', answer: '2' },
  checked: [],
  logProbabilities: null,
  samples: null,
  sampleLabels: [],
  ranking: null,
  ...found,
})
const votes = (policy: Pick<RiskPolicy, 'labels' | 'sources'>, found?: Partial<Findings>) =>
  votesOf(policy, findings(found)).votes

describe('right and wrong', () => {
  const right = 0
  const wrong = 1

  test('a check that holds says right, one that does not wrong, and one that was late nothing', () => {
    const policy = plain([{ validator: { check: 'number' } }])
    const given = (checked: Checked) => votes(policy, { checked: [checked] })
    expect([given(0), given(-1), given(null)]).toEqual([[right], [wrong], [null]])
  })

  test('a source may say something else of either, or nothing', () => {
    const policy = plain([{ expression: { pattern: 'I cannot', yes: 'wrong', no: 'abstain' } }])
    expect(votes(policy, { checked: [3] })).toEqual([wrong])
    expect(votes(policy, { checked: [-1] })).toEqual([null])
  })

  test('results of checks go to the sources that asked for them, whatever stands between', () => {
    const policy = plain([
      { validator: { check: 'json' } },
      { length: { charactersMax: 3 } },
      { ownLabel: {} },
      { expression: { pattern: 'x' } },
    ])
    expect(checksOf(policy).map(({ kind }) => kind)).toEqual(['validator', 'expression'])
    expect(votes(policy, { checked: [-1, 0] })).toEqual([wrong, right, right, right])
  })

  test('log-probabilities vote by their mean, and abstain where the worker told none', () => {
    const policy = plain([{ logProbability: { meanMin: -0.5 } }])
    expect(votes(policy, { logProbabilities: [-0.1, -0.2] })).toEqual([right])
    expect(votes(policy, { logProbabilities: [-0.1, -2] })).toEqual([wrong])
    expect(votes(policy, { logProbabilities: [] })).toEqual([null])
    expect(votes(policy)).toEqual([null])
  })

  test('samples agree but for case and punctuation, or by their last number', () => {
    const texts = { question: '', answer: 'It is 42.' }
    const samples = ['it is 42', 'IT IS: 42!', 'It is 41.', 'No idea']
    const by = (compare: string, agreeMin: number) =>
      votes(plain([{ selfConsistency: { compare, agreeMin } }]), { texts, samples })
    expect(by('text', 0.5)).toEqual([right])
    expect(by('text', 0.6)).toEqual([wrong])
    expect(by('number', 0.5)).toEqual([right])
    expect(votes(plain([{ selfConsistency: {} }]), { texts, samples: null })).toEqual([null])
  })

  test('Meta Ranking has to be over its threshold', () => {
    const policy = plain([{ metaRanking: { scoreMin: 0.2 } }])
    expect(votes(policy, { ranking: 0.3 })).toEqual([right])
    expect(votes(policy, { ranking: 0.2 })).toEqual([wrong])
    expect(votes(policy)).toEqual([null])
  })
})

describe('a classification', () => {
  const spam = 0
  const ham = 1

  test('the label of an answer is the one that it says first', () => {
    expect(firstLabel([7, 2])).toBe(ham)
    expect(firstLabel([-1, -1])).toBeNull()
    // It was too late to say.
    expect(firstLabel([null, 2])).toBeNull()
  })

  test('sources vote for labels, for the answer’s own or, of two, for the other one', () => {
    const policy = mail([
      { expression: { of: 'question', pattern: 'money', yes: 'spam', no: 'abstain' } },
      { length: { charactersMin: 100 } },
      { ownLabel: {} },
    ])
    expect(votes(policy, { checked: [-1, 0, 4] })).toEqual([spam, spam, ham])
    // Without a label of its own there is nothing to agree with.
    expect(votes(policy, { checked: [-1, -1, 4] })).toEqual([spam, null, null])
  })

  test('samples vote for what they say most', () => {
    const policy = mail([{ selfConsistency: {} }])
    const samples = ['', '', '']
    expect(votes(policy, { checked: [0, -1], samples, sampleLabels: [ham, spam, ham] })).toEqual([ham])
    expect(votes(policy, { checked: [0, -1], samples, sampleLabels: [null, null, null] })).toEqual([null])
  })

  test('wrong names no label where there are three', () => {
    const three = { ...mail([{ validator: { check: 'json' } }]) }
    const policy = { ...three, labels: [...three.labels, { name: 'eggs', pattern: 'eggs' }] }
    expect(votes(policy, { checked: [0, -1, -1, -1] })).toEqual([null])
    expect(votes(policy, { checked: [0, -1, -1, 0] })).toEqual([spam])
  })
})

test('signals are what was measured, and null where nothing was', () => {
  const policy = plain([{ selfConsistency: { samples: 2 } }])
  const { signals } = votesOf(policy, findings({ logProbabilities: [-1, -3], samples: ['2', '3'], ranking: 0.5 }))
  expect(signals).toEqual({
    meanLogProbability: -2,
    leastLogProbability: -3,
    answerCharactersLog: Math.log(2),
    agreement: 0.5,
    ranking: 0.5,
  })
  expect(votesOf(plain([]), findings()).signals).toMatchObject({
    meanLogProbability: null,
    agreement: null,
    ranking: null,
  })
})
