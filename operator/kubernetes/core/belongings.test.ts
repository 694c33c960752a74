import { expect, test } from 'vitest'
import { ModelDeploymentSpec, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { disruptionBudget, replicasOf } from './belongings.ts'

const specOf = (fields: object) => ModelDeploymentSpec.parse({ engine: { kind: 'simulated' }, ...fields })
const decided = (desiredReplicas: number) =>
  ModelDeploymentStatus.parse({
    conditions: [],
    replicas: 0,
    readyReplicas: 0,
    desiredReplicas,
    selector: '',
    observedGeneration: 1,
    currentRevision: '',
    desiredRevision: '',
    url: '',
    measured: {},
  })
const owner = { apiVersion: 'paceline.dev/v1alpha1', kind: 'ModelDeployment', name: 'smol', uid: 'u' }
const kept = (replicas: number) => disruptionBudget({ deployment: 'smol', owner }, replicas).spec

test('one worker at a time may be evicted, the only one too, and nobody is asked how many there should be', () => {
  expect([0, 1, 4].map((replicas) => kept(replicas)?.minAvailable)).toEqual([0, 0, 3])
  expect(kept(4)).not.toHaveProperty('maxUnavailable')
})

test('a number in the spec counts at once; what the autoscaler decided stands in the status', () => {
  expect(replicasOf(specOf({ replicas: 3 }), decided(1))).toBe(3)
  expect(replicasOf(specOf({}), null)).toBe(1)
  expect(replicasOf(specOf({ scaling: { maxReplicas: 5 } }), decided(4))).toBe(4)
  expect(replicasOf(null, decided(2))).toBe(2)
})
