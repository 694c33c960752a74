import { expect, test } from 'vitest'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { desiredOf, merge } from './desired.ts'

const resource = (name: string, spec: object = {}) =>
  ModelDeployment.parse({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name },
    spec: { engine: { kind: 'simulated' }, ...spec },
  })

test('the generation counts changes of the spec, not readings of the file', () => {
  const first = merge([], [resource('a')], 10)
  const same = merge(first, [resource('a')], 20)
  expect(same).toEqual(first)
  expect(merge(same, [resource('a', { replicas: 2 })], 30)).toMatchObject([{ generation: 2, created: 10 }])
})

test('age decides about names: what was there before keeps its name, wherever it stands in the file', () => {
  const first = merge([], [resource('old', { servedNames: ['gpt'] })], 10)
  const second = merge(
    first,
    [resource('new', { servedNames: ['gpt'] }), resource('old', { servedNames: ['gpt'] })],
    20,
  )
  expect(second.map(({ name }) => name)).toEqual(['old', 'new'])
  const [, younger] = [...desiredOf(second).values()]
  expect(younger).toMatchObject({
    servedNames: ['new'],
    conflicts: [{ name: 'gpt', owner: { kind: 'deployment', name: 'old' } }],
  })
})

test('a deployment that is gone is forgotten, and new when it comes back', () => {
  const first = merge([], [resource('a', { replicas: 3 })], 10)
  expect(merge(merge(first, [], 20), [resource('a')], 30)).toMatchObject([{ generation: 1, created: 30 }])
})
