import { expect, test } from 'vitest'
import { type RouteFacts, readRoute, routeStatusOf } from './routeStatus.ts'

const nowIso = '2026-01-01T00:00:00Z'
const route = readRoute('helper', 3, {
  name: 'assistant',
  weighted: [
    { deployment: 'smol', weight: 9 },
    { deployment: 'large', weight: 1 },
  ],
})
const ready: RouteFacts = {
  route,
  deployments: new Map([
    ['smol', 'ready'],
    ['large', 'ready'],
  ]),
  conflict: null,
}
const said = (facts: RouteFacts) =>
  Object.fromEntries(
    routeStatusOf(facts, null, nowIso).conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  )

test('a route is told to have no effect yet, however well everything it names stands', () => {
  const status = routeStatusOf(ready, null, nowIso)
  expect(status).toMatchObject({ observedGeneration: 3 })
  expect(status.conditions.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true)
  expect(said(ready)).toEqual({
    Ready: 'False NoEffectYet',
    DeploymentsReady: 'True AllReady',
    Degraded: 'False AsExpected',
  })
  expect(status.conditions[0]?.message).toContain('"assistant"')
})

test('a deployment that is missing is named, and is graver than one that is not ready', () => {
  const deployments = new Map([
    ['smol', 'missing'],
    ['large', 'not-ready'],
  ] as const)
  const status = routeStatusOf({ ...ready, deployments }, null, nowIso)
  expect(said({ ...ready, deployments })).toMatchObject({
    DeploymentsReady: 'False DeploymentMissing',
    Degraded: 'True DeploymentMissing',
  })
  expect(status.conditions.find(({ type }) => type === 'Degraded')?.message).toContain('no ModelDeployment smol;')
  expect(said({ ...ready, deployments: new Map([['large', 'not-ready']]) })).toMatchObject({
    DeploymentsReady: 'False DeploymentNotReady',
    Degraded: 'False AsExpected',
  })
})

test('a name that somebody else has is said with whose it is', () => {
  const owner = { kind: 'deployment', name: 'old' } as const
  const facts = { ...ready, conflict: { name: 'assistant', owner } }
  expect(said(facts)).toMatchObject({ Ready: 'False NameConflict', Degraded: 'True NameConflict' })
  expect(routeStatusOf(facts, null, nowIso).conditions[0]?.message).toContain('belongs to deployment "old"')
})

test('a spec of another version of the definitions is not guessed at', () => {
  const strange = readRoute('helper', 1, { name: 'assistant', mirrored: {} })
  expect(strange).toMatchObject({ spec: null, deployments: [] })
  expect(said({ route: strange, deployments: new Map(), conflict: null })).toEqual({
    Ready: 'Unknown SpecNotUnderstood',
    DeploymentsReady: 'Unknown SpecNotUnderstood',
    Degraded: 'True SpecNotUnderstood',
  })
})

test('the same judged again is the same status, and a condition that holds keeps since when', () => {
  const before = routeStatusOf(ready, null, nowIso)
  expect(routeStatusOf(ready, before, '2026-02-02T00:00:00Z')).toEqual(before)
})
