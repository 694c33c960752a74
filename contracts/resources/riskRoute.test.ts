import { expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { Risk, riskDeployments } from './riskRoute.ts'

const pairs = { deployment: 'small', escalateTo: 'large' }
const problemsOf = (more: object) =>
  (Risk.safeParse({ ...pairs, ...more }).error?.issues ?? []).map(
    ({ path, message }) => `${path.map(String).join('.')}: ${message}`,
  )

test.each([
  ['an expression that is none', { name: 'x', expression: { pattern: '(a' } }, 'not a regular expression'],
  ['a JSON Schema that is none', { name: 'x', jsonSchema: { schema: { type: 'strnig' } } }, 'not a JSON Schema'],
  [
    'a vote for nobody',
    { name: 'x', length: { no: 'wrogn' } },
    '"wrogn" is no vote: name one of right, wrong, abstain',
  ],
  ['two kinds at once', { name: 'x', length: {}, ownLabel: {} }, 'exactly one of'],
  ['a kind that does not exist', { name: 'x', vibes: {} }, 'vibes'],
])('a source with %s is refused, and its place is named', (_, source, words) => {
  const problems = problemsOf({ sources: [source] })
  expect(problems.every((problem) => problem.startsWith('sources.0'))).toBe(true)
  expect(problems.join()).toContain(words)
})

test('labels may be voted for by name', () => {
  const labels = ['spam', 'ham'].map((name) => ({ name, pattern: name }))
  const sources = [{ name: 'money', expression: { pattern: 'money', of: 'question', yes: 'spam', no: 'abstain' } }]
  expect(problemsOf({ labels, sources })).toEqual([])
  expect(problemsOf({ sources })).toHaveLength(1)
})

test('labels have names of their own, each once', () => {
  const labelled = (...names: string[]) => problemsOf({ labels: names.map((name) => ({ name, pattern: 'x' })) })
  for (const name of ['right', 'wrong', 'abstain'])
    expect(labelled(name, 'spam').join()).toContain('labels: a label must not be called right, wrong, abstain')
  expect(labelled('spam', 'ham', 'spam').join()).toContain('labels: each label once')
})

test('the JSON Schemas of a route are small together', () => {
  const sources = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      name: `s${i}`,
      jsonSchema: { schema: { description: 'x'.repeat(limits.request.schemaBytesMax / 2) } },
    }))
  expect(problemsOf({ sources: sources(1) })).toEqual([])
  expect(problemsOf({ sources: sources(2) }).join()).toContain(
    'sources: more than 65536 bytes of JSON Schemas together',
  )
})

test('every deployment that is asked is named: for embeddings and by judges too', () => {
  const risk = Risk.parse({
    ...pairs,
    embedding: { deployment: 'vectors' },
    sources: [{ name: 'ranked', metaRanking: { judge: 'judge' } }],
  })
  expect(riskDeployments(risk)).toEqual(['small', 'large', 'vectors', 'judge'])
})
