import { expect, test } from 'vitest'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import { Risk } from '#contracts/resources/riskRoute.ts'
import type { RiskCalibration } from '#contracts/riskCalibration.ts'
import { type CalibrationSources, noSources } from './calibrations.ts'
import { judgeRisk } from './riskCalibrations.ts'

const small = 'aa'.repeat(32)
const vectors = 'bb'.repeat(32)
const document: RiskCalibration = {
  kind: 'RiskCalibration',
  version: 1,
  model: small,
  embedding: { model: vectors, width: 2 },
  signals: [],
  labels: ['right', 'wrong'],
  sources: ['rule'],
  hidden: 0,
  parameters: packedNumbers(new Float64Array(6)),
  scalariser: 'quadratic',
  trained: { examples: 1, epochs: 1 },
  measured: null,
}
const risk = Risk.parse({
  deployment: 'small',
  escalateTo: 'large',
  embedding: { deployment: 'vectors' },
  calibration: { configMap: 'assistant-risk' },
})
const served: Readonly<Record<string, { model: string; embeddings: boolean }>> = {
  small: { model: small, embeddings: false },
  vectors: { model: vectors, embeddings: true },
}
const knowing = (data: Readonly<Record<string, string>> | null, over: typeof served = {}): CalibrationSources => ({
  ...noSources,
  configMap: () => data,
  servedBy: (name) => over[name] ?? served[name] ?? null,
})
const of = (made: object) => ({ 'risk.json': JSON.stringify({ ...document, ...made }) })
const judged = (sources: CalibrationSources, route = risk) => {
  const { calibration, problem } = judgeRisk(route, sources)
  return { reason: calibration.kind === 'none' ? calibration.reason : 'made', problem }
}

test('a harmonizer of these models and labels is published whole', () => {
  expect(judgeRisk(risk, knowing(of({})))).toMatchObject({ calibration: { kind: 'made', document }, problem: null })
})

test.each([
  ['no ConfigMap of that name', knowing(null), 'no-calibration', 'there is no ConfigMap assistant-risk'],
  ['one without the key', knowing({}), 'no-calibration', 'has no key risk.json'],
  ['a document that was cut off', knowing({ 'risk.json': '{"kind":' }), 'no-calibration', 'is not JSON'],
  ['numbers that were cut off', knowing(of({ parameters: 'AAAA' })), 'no-calibration', 'not as many parameters'],
  ['another model', knowing(of({ model: 'cc'.repeat(32) })), 'other-model', 'another model than small has'],
  [
    'another embedding',
    knowing(of({ embedding: { model: small, width: 2 } })),
    'other-embedding',
    'vectors of another model than vectors has',
  ],
  ['other labels', knowing(of({ labels: ['spam', 'ham'] })), 'other-labels', 'other labels than the route'],
  [
    'a pair that gives no embeddings',
    knowing(of({}), { vectors: { model: vectors, embeddings: false } }),
    'no-embeddings',
    'set engine.embeddings there',
  ],
] as const)('%s: none, with a reason and what to change', (_, sources, reason, words) => {
  const found = judged(sources)
  expect(found.reason).toBe(reason)
  expect(found.problem).toContain(words)
})

test('without a ConfigMap there is none, and the words say how to make one', () => {
  const { calibration: _named, ...unnamed } = risk
  const found = judged(knowing(null), unnamed)
  expect(found.reason).toBe('no-calibration')
  expect(found.problem).toContain('paceline calibrate risk')
})

test('a source that ranks against references says so where there are none, and the calibration holds all the same', () => {
  const ranking = Risk.parse({ ...risk, sources: [{ name: 'ranked', metaRanking: {} }] })
  const found = judged(knowing(of({})), ranking)
  expect(found.reason).toBe('made')
  expect(found.problem).toContain('a metaRanking source then abstains')
})
