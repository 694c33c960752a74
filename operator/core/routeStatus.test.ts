import { expect, test } from 'vitest'
import { type RouteFacts, readRoute, routeRecordOf, routeStatusOf } from './routeStatus.ts'

const nowIso = '2026-01-01T00:00:00Z'
const meta = { generation: 3, created: 1_700_000_000 }
const weighted = [
  { deployment: 'smol', weight: 9 },
  { deployment: 'large', weight: 1 },
]
const route = readRoute('helper', meta, { name: 'assistant', weighted })
const cascade = readRoute('helper', meta, {
  name: 'assistant',
  cascade: {
    steps: [
      {
        deployment: 'smol',
        accept: { metaRanking: { references: { configMap: 'references' }, errorRateMax: 0.1 } },
      },
      { deployment: 'large' },
    ],
  },
})
const taken = { name: 'assistant', owner: { kind: 'deployment', name: 'old' } } as const
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

const readyMessage = (facts: RouteFacts) => routeStatusOf(facts, null, nowIso).conditions[0]?.message

test('a route that is carried out says where requests go, and in which shares', () => {
  const status = routeStatusOf(ready, null, nowIso)
  expect(status).toMatchObject({ observedGeneration: 3 })
  expect(status.conditions.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true)
  expect(said(ready)).toEqual({
    Ready: 'True Routing',
    DeploymentsReady: 'True AllReady',
    Degraded: 'False AsExpected',
  })
  expect(readyMessage(ready)).toBe('requests for "assistant" go to smol (90%), large (10%)')
  const alone = { ...ready, deployments: new Map([['large', 'ready']] as const) }
  expect(readyMessage(alone)).toBe('requests for "assistant" go to large (100%)')
  const direct = { ...ready, route: readRoute('helper', meta, { name: 'a', direct: { deployment: 'smol' } }) }
  expect(readyMessage(direct)).toBe('requests for "a" go to smol (100%)')
})

test('a route of which nobody can answer is not ready, and neither is one whose only ready deployment has no share', () => {
  const deployments = new Map([
    ['smol', 'not-ready'],
    ['large', 'ready'],
  ] as const)
  const noShare = [
    { deployment: 'smol', weight: 1 },
    { deployment: 'large', weight: 0 },
  ]
  const facts = { ...ready, route: readRoute('helper', meta, { name: 'a', weighted: noShare }), deployments }
  expect(said(facts)).toMatchObject({ Ready: 'False NoDeploymentReady', DeploymentsReady: 'False DeploymentNotReady' })
})

test('a cascade is told to have no effect yet, however well everything it names stands', () => {
  expect(said({ ...ready, route: cascade })).toMatchObject({ Ready: 'False NoEffectYet', Degraded: 'False AsExpected' })
  expect(readyMessage({ ...ready, route: cascade })).toContain('"assistant"')
})

test('a route that names a route is told that it must not: there are no circles', () => {
  const facts = { ...ready, deployments: new Map([['smol', 'route']] as const) }
  expect(said(facts)).toEqual({
    Ready: 'False NoDeploymentReady',
    DeploymentsReady: 'False NotADeployment',
    Degraded: 'True NotADeployment',
  })
})

test('routers are told of a route whether or not its deployments are there, and of none that has no effect or no name', () => {
  expect(routeRecordOf(route, null)).toEqual({
    route: 'helper',
    name: 'assistant',
    created: 1_700_000_000,
    policy: { kind: 'weighted', targets: weighted },
  })
  const direct = readRoute('helper', meta, { name: 'a', direct: { deployment: 'smol' } })
  expect(routeRecordOf(direct, null)?.policy).toEqual({ kind: 'direct', deployment: 'smol' })
  expect(routeRecordOf(route, taken)).toBeNull()
  expect(routeRecordOf(cascade, null)).toBeNull()
  expect(routeRecordOf(readRoute('helper', meta, { name: 'a', mirrored: {} }), null)).toBeNull()
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
  const facts = { ...ready, conflict: taken }
  expect(said(facts)).toMatchObject({ Ready: 'False NameConflict', Degraded: 'True NameConflict' })
  expect(routeStatusOf(facts, null, nowIso).conditions[0]?.message).toContain('belongs to deployment "old"')
})

test('a spec of another version of the definitions is not guessed at', () => {
  const strange = readRoute('helper', meta, { name: 'assistant', mirrored: {} })
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
