import { expect, test } from 'vitest'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { ModelRoute } from '#contracts/resources/modelRoute.ts'
import { desiredOf, type Known, merge } from './desired.ts'

const resource = (name: string, spec: object = {}) =>
  ModelDeployment.parse({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name },
    spec: { engine: { kind: 'simulated' }, ...spec },
  })

const route = (name: string, spec: object) =>
  ModelRoute.parse({ apiVersion: 'paceline.dev/v1alpha1', kind: 'ModelRoute', metadata: { name }, spec })
const grown = (
  before: readonly Known[],
  deployments: ModelDeployment[],
  epochSeconds: number,
  routes: ModelRoute[] = [],
) => merge(before, { deployments, routes }, epochSeconds)

test('the generation counts changes of the spec, not readings of the file', () => {
  const first = grown([], [resource('a')], 10)
  const same = grown(first, [resource('a')], 20)
  expect(same).toEqual(first)
  expect(grown(same, [resource('a', { replicas: 2 })], 30)).toMatchObject([{ generation: 2, created: 10 }])
})

test('age decides about names: what was there before keeps its name, wherever it stands in the file', () => {
  const first = grown([], [resource('old', { servedNames: ['gpt'] })], 10)
  const second = grown(
    first,
    [resource('new', { servedNames: ['gpt'] }), resource('old', { servedNames: ['gpt'] })],
    20,
  )
  expect(second.map(({ name }) => name)).toEqual(['old', 'new'])
  const [, younger] = [...desiredOf(second).deployments.values()]
  expect(younger).toMatchObject({
    servedNames: ['new'],
    conflicts: [{ name: 'gpt', owner: { kind: 'deployment', name: 'old' } }],
  })
})

test('a deployment that is gone is forgotten, and new when it comes back', () => {
  const first = grown([], [resource('a', { replicas: 3 })], 10)
  expect(grown(grown(first, [], 20), [resource('a')], 30)).toMatchObject([{ generation: 1, created: 30 }])
})

test('a route that was there first keeps its name from a deployment, and one that asks for a taken name is told whose it is', () => {
  const chat = route('helper', { name: 'chat', direct: { deployment: 'a' } })
  const first = grown([], [resource('a')], 10, [chat])
  const later = desiredOf(grown(first, [resource('a'), resource('b', { servedNames: ['chat'] })], 20, [chat]))
  expect(later.routes).toMatchObject([{ conflict: null, route: { created: 10, deployments: ['a'] } }])
  expect([...later.deployments.values()][1]).toMatchObject({
    servedNames: ['b'],
    conflicts: [{ name: 'chat', owner: { kind: 'route', name: 'helper' } }],
  })
  const own = desiredOf(grown([], [resource('a')], 10, [route('a', { name: 'a', direct: { deployment: 'a' } })]))
  expect(own.routes).toMatchObject([{ conflict: { name: 'a', owner: { kind: 'deployment', name: 'a' } } }])
})

test('a route that takes another name is as young as that; an edit of its shares leaves its age', () => {
  const spec = (name: string, weight: number) => ({ name, weighted: [{ deployment: 'a', weight }] })
  const first = grown([], [], 10, [route('helper', spec('one', 1))])
  expect(grown(first, [], 20, [route('helper', spec('one', 2))])).toMatchObject([{ created: 10, generation: 2 }])
  expect(grown(first, [], 20, [route('helper', spec('two', 1))])).toMatchObject([{ created: 20, generation: 1 }])
})
