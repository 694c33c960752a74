import { expect, test } from 'vitest'
import { CascadeCalibration, calibrationDigest } from '#contracts/calibration.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { calibration, cascadeSpec, referencesText, sourcesOf, textsWith } from './calibrations.fixture.ts'
import { judgeCascade, servedBySpec, statusOfStep } from './calibrations.ts'

const [small] = cascadeSpec.cascade.steps
const cascadeWith = (accept: object = {}, more: object = {}) => {
  const metaRanking = { ...small?.accept?.metaRanking, ...accept }
  const steps = [{ deployment: 'smol', accept: { metaRanking } }, { deployment: 'large' }]
  const { cascade } = ModelRouteSpec.parse({ name: 'assistant', cascade: { steps, ...more } })
  if (cascade === undefined) throw new Error('a cascade')
  return cascade
}
const judged = (sources = sourcesOf(), cascade = cascadeWith()) => {
  const [step] = judgeCascade(cascade, sources)
  if (step === null || step === undefined) throw new Error('a step that may keep')
  return step
}
const reason = (step: ReturnType<typeof judged>) =>
  step.guarantee.kind === 'holds' ? 'holds' : `${step.guarantee.reason}: ${step.problem}`

test('the document that the tests begin with is one', () => {
  expect(CascadeCalibration.parse(calibration)).toEqual(calibration)
})

test('a calibration that was made for the step as it is holds, and is told apart by what it says, not by how it is laid out', () => {
  const digest = calibrationDigest(calibration)
  expect(judged().guarantee).toMatchObject({ kind: 'holds', calibration: digest, threshold: 0.3 })
  const oneLine = { 'references.jsonl': `\n${referencesText}\n`, 'cascade.json': JSON.stringify(calibration) }
  expect(judged(sourcesOf(oneLine)).guarantee).toMatchObject({ kind: 'holds', calibration: digest })
  expect(judged(sourcesOf(textsWith({ threshold: 0.4 }))).guarantee).not.toMatchObject({ calibration: digest })
})

test('the last step is judged by nobody', () => {
  expect(judgeCascade(cascadeWith(), sourcesOf())[1]).toBeNull()
})

test('what is missing or not understood is said with where it should be', () => {
  expect(reason(judged(sourcesOf(null)))).toMatch(
    /^no-references: there is no ConfigMap smol-calibration with the label/,
  )
  expect(reason(judged(sourcesOf({})))).toBe('no-references: ConfigMap smol-calibration has no key references.jsonl')
  expect(reason(judged(sourcesOf({ ...textsWith(), 'references.jsonl': '{}' })))).toBe(
    'no-references: ConfigMap smol-calibration, references.jsonl: line 1: question: is missing; line 1: answer: is missing; line 1: correct: is missing',
  )
  const { 'cascade.json': _gone, ...rest } = textsWith()
  expect(reason(judged(sourcesOf(rest)))).toBe('no-calibration: ConfigMap smol-calibration has no key cascade.json')
  // References that are understood are told all the same: a risk source or a person may look at them.
  expect(judged(sourcesOf(rest)).references).toHaveLength(2)
})

test('the calibration may stand in a ConfigMap of its own', () => {
  const texts = textsWith()
  const configMap = (name: string) =>
    name === 'own'
      ? { 'cascade.json': texts['cascade.json'] ?? '' }
      : { 'references.jsonl': texts['references.jsonl'] ?? '' }
  const step = judged(sourcesOf(null, { configMap }), cascadeWith({ calibration: { configMap: 'own' } }))
  expect(step.guarantee.kind).toBe('holds')
})

test('a threshold that was proved for something else is stale', () => {
  const stale = (sources: ReturnType<typeof sourcesOf>, cascade?: ReturnType<typeof cascadeWith>) =>
    reason(judged(sources, cascade))
  expect(stale(sourcesOf(textsWith({ step: 'tiny' })))).toMatch(/^stale: the calibration is one of tiny, not of smol;/)
  expect(stale(sourcesOf(), cascadeWith({ judge: 'large' }))).toMatch(/one of the judge smol, not of large/)
  const edited = { ...textsWith(), 'references.jsonl': referencesText.replace('Rome', 'Lyon') }
  expect(stale(sourcesOf(edited))).toMatch(/made with other references; calibrate smol again/)
  expect(stale(sourcesOf(), cascadeWith({ errorRateMax: 0.05 }))).toMatch(/proves an error rate of at most 0.1, and/)
  expect(stale(sourcesOf(), cascadeWith({ confidence: 0.95 }))).toMatch(
    /a confidence of 0.9, and the route promises 0.95/,
  )
  expect(stale(sourcesOf(), cascadeWith({}, { streaming: { mode: 'early' } }))).toMatch(
    /one of whole answers, and the route judges the first 32 tokens/,
  )
  const early = sourcesOf(textsWith({ judgedTokens: 32 }))
  expect(stale(early, cascadeWith({}, { streaming: { mode: 'early' } }))).toBe('holds')
  expect(stale(early)).toMatch(/one of the first 32 tokens, and the route judges whole answers/)
})

test('a stricter proof than the promise needs is good', () => {
  const strict = sourcesOf(textsWith({ errorRateMax: 0.02, confidence: 0.99 }))
  expect(judged(strict).guarantee).toMatchObject({ kind: 'holds', errorRateMax: 0.02, confidence: 0.99 })
})

test('another model behind the same name makes it stale, where both are known', () => {
  const madeFrom = { ...calibration.madeFrom, stepModel: 'b'.repeat(64), judgeModel: 'b'.repeat(64) }
  const serving = (model: string) =>
    sourcesOf(textsWith({ madeFrom }), { servedBy: () => ({ model, embeddings: false }) })
  expect(judged(serving('b'.repeat(64))).guarantee).toMatchObject({ kind: 'holds', models: { step: 'b'.repeat(64) } })
  expect(reason(judged(serving('c'.repeat(64))))).toMatch(/^stale: smol has another model than the calibration/)
  expect(judged(sourcesOf(textsWith({ madeFrom }))).guarantee.kind).toBe('holds')
  const spec = ModelDeploymentSpec.parse({ engine: { kind: 'simulated' } })
  expect(servedBySpec(spec)).toEqual({ model: 'simulated', embeddings: false })
})

test('labels that prove nothing keep nothing, and the figures are said', () => {
  const step = judged(sourcesOf(textsWith({ threshold: null, errorRate: null })))
  expect(reason(step)).toMatch(/^nothing-proved: 400 labels, 120 of them wrong, prove no threshold of smol/)
  expect(statusOfStep(step, undefined)).toMatchObject({ state: 'NothingProved', labels: 400 })
})

test('newer labels that speak against it break it, and stand in the status', () => {
  const labels = { calibration: 'x', labels: 90, wrong: 31, sum: 60, limit: 60, broken: true }
  const step = judged(sourcesOf(textsWith(), { labelsOf: () => labels }))
  expect(reason(step)).toMatch(/^broken: 31 of 90 answers of smol that were kept and labelled since are wrong/)
  expect(statusOfStep(step, undefined)).toMatchObject({
    state: 'Broken',
    threshold: 0.3,
    newLabels: 90,
    newWrong: 31,
    alarm: { sum: 60, at: 60 },
  })
})
