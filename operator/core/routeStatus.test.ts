import { expect, test } from 'vitest'
import { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { calibration, cascadeSpec, references, sourcesOf, textsWith } from './calibrations.fixture.ts'
import { noSources } from './calibrations.ts'
import { routeRecordOf } from './routePolicy.ts'
import { type RouteFacts, readRoute, routeStatusOf } from './routeStatus.ts'

const nowIso = '2026-01-01T00:00:00Z'
const meta = { generation: 3, created: 1_700_000_000 }
const weighted = [
  { deployment: 'smol', weight: 9 },
  { deployment: 'large', weight: 1 },
]
const route = readRoute('helper', meta, { name: 'assistant', weighted })
const cascade = readRoute('helper', meta, cascadeSpec)
const taken = { name: 'assistant', owner: { kind: 'deployment', name: 'old' } } as const
const ready: RouteFacts = {
  route,
  deployments: new Map([
    ['smol', 'ready'],
    ['large', 'ready'],
  ]),
  conflict: null,
  sources: noSources,
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

test('a cascade says from which score on it keeps whose answers, and what was proved', () => {
  const facts = { ...ready, route: cascade, sources: sourcesOf() }
  const status = routeStatusOf(facts, null, nowIso)
  expect(said(facts)).toEqual({
    Ready: 'True Routing',
    DeploymentsReady: 'True AllReady',
    CalibrationReady: 'True Calibrated',
    Degraded: 'False AsExpected',
  })
  expect(readyMessage(facts)).toBe('requests for "assistant" go to smol (kept over 0.3), then to large')
  expect(status.conditions[2]?.message).toBe(
    'kept is what ranks over its threshold: smol over 0.3 (40% of its answers, at most 10% of them wrong at a confidence of 0.9)',
  )
  expect(status.calibrations).toMatchObject([
    {
      deployment: 'smol',
      state: 'Holds',
      references: 2,
      threshold: 0.3,
      labels: 400,
      keptShare: 0.4,
      errorRate: { lower: 0.03, upper: 0.096 },
    },
  ])
})

test('a cascade without its calibration is degraded and still answers: by its last step, if that is ready', () => {
  const facts = { ...ready, route: cascade, sources: sourcesOf(null) }
  expect(said(facts)).toMatchObject({
    Ready: 'True Routing',
    CalibrationReady: 'False ReferencesNotUnderstood',
    Degraded: 'True ReferencesNotUnderstood',
  })
  expect(readyMessage(facts)).toBe('requests for "assistant" go to smol (nothing is kept), then to large')
  const smallOnly = { ...facts, deployments: new Map([['smol', 'ready']] as const) }
  expect(said(smallOnly)).toMatchObject({ Ready: 'False NoDeploymentReady' })
  expect(said({ ...smallOnly, sources: sourcesOf() })).toMatchObject({ Ready: 'True Routing' })
})

test('what stands in the way of keeping is a reason of its own', () => {
  const reasonOf = (sources: RouteFacts['sources']) => said({ ...ready, route: cascade, sources })['Degraded']
  expect(reasonOf(sourcesOf({}))).toBe('True ReferencesNotUnderstood')
  expect(reasonOf(sourcesOf({ ...textsWith(), 'cascade.json': '{' }))).toBe('True CalibrationNotUnderstood')
  expect(reasonOf(sourcesOf(textsWith({ step: 'other' })))).toBe('True CalibrationStale')
  expect(reasonOf(sourcesOf(textsWith({ threshold: null, errorRate: null })))).toBe('True NothingProved')
  const broken = { calibration: 'x', labels: 90, wrong: 31, sum: 60, limit: 60, broken: true }
  expect(reasonOf(sourcesOf(textsWith(), { labelsOf: () => broken }))).toBe('True BoundBroken')
})

test('in shadow it is the last step that must be ready, and that is said', () => {
  const shadow = readRoute('helper', meta, { ...cascadeSpec, cascade: { ...cascadeSpec.cascade, shadow: true } })
  const facts = { ...ready, route: shadow, sources: sourcesOf() }
  expect(readyMessage(facts)).toBe('requests for "assistant" go to large; the others are judged beside it (shadow)')
  expect(said({ ...facts, deployments: new Map([['smol', 'ready']]) })).toMatchObject({
    Ready: 'False NoDeploymentReady',
  })
})

test('a route that names a route is told that it must not: there are no circles', () => {
  const facts = { ...ready, deployments: new Map([['smol', 'route']] as const) }
  expect(said(facts)).toEqual({
    Ready: 'False NoDeploymentReady',
    DeploymentsReady: 'False NotADeployment',
    Degraded: 'True NotADeployment',
  })
})

test('routers are told of a route whether or not its deployments are there, and of none that has no name', () => {
  expect(routeRecordOf(route, null, noSources)).toEqual({
    route: 'helper',
    name: 'assistant',
    created: 1_700_000_000,
    policy: { kind: 'weighted', targets: weighted },
  })
  const direct = readRoute('helper', meta, { name: 'a', direct: { deployment: 'smol' } })
  expect(routeRecordOf(direct, null, noSources)?.policy).toEqual({ kind: 'direct', deployment: 'smol' })
  expect(routeRecordOf(route, taken, noSources)).toBeNull()
  expect(routeRecordOf(readRoute('helper', meta, { name: 'a', mirrored: {} }), null, noSources)).toBeNull()
})

test('of a cascade routers are told everything that they need to judge an answer', () => {
  expect(routeRecordOf(cascade, null, sourcesOf())?.policy).toMatchObject({
    kind: 'cascade',
    steps: [
      {
        deployment: 'smol',
        accept: {
          judge: 'smol',
          references,
          prior: calibration.prior,
          guarantee: { kind: 'holds', threshold: 0.3, errorRateMax: 0.1, confidence: 0.9, models: {} },
        },
      },
      { deployment: 'large', accept: null },
    ],
    escalationRateMax: 1,
    whenFull: 'wait',
    streaming: { mode: 'buffer', tokens: 32 },
    shadow: false,
  })
  expect(routeRecordOf(cascade, null, noSources)?.policy).toMatchObject({
    steps: [{ accept: { references: [], prior: null, guarantee: { kind: 'none', reason: 'no-references' } } }, {}],
  })
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

test('of a route that is larger than a message routers are told nothing, and people what to change', () => {
  const [most] = weighted
  if (most === undefined) throw new Error('a target')
  const withTargets = (count: number) => ({
    ...route,
    spec: { name: 'assistant', weighted: Array.from({ length: count }, () => most) },
  })
  expect(routeRecordOf(withTargets(1), null, noSources)).not.toBeNull()
  const large = withTargets(20_000)
  expect(routeRecordOf(large, null, noSources)).toBeNull()
  const facts = { ...ready, route: large }
  expect(said(facts)).toMatchObject({ Ready: 'False TooLarge', Degraded: 'True TooLarge' })
  expect(readyMessage(facts)).toMatch(/^what routers need to know of it is \d+ bytes, and at most 524288 .*name fewer/)
})

test('a spec of another version of the definitions is not guessed at', () => {
  const strange = readRoute('helper', meta, { name: 'assistant', mirrored: {} })
  expect(strange).toMatchObject({ spec: null, deployments: [] })
  const endless = readRoute('helper', meta, { name: 'assistant', ['x'.repeat(40_000)]: {} })
  expect(() => ModelRouteStatus.parse(routeStatusOf({ ...ready, route: endless }, null, nowIso))).not.toThrow()
  expect(said({ route: strange, deployments: new Map(), conflict: null, sources: noSources })).toEqual({
    Ready: 'Unknown SpecNotUnderstood',
    DeploymentsReady: 'Unknown SpecNotUnderstood',
    Degraded: 'True SpecNotUnderstood',
  })
})

test('the same judged again is the same status, and a condition that holds keeps since when', () => {
  const before = routeStatusOf(ready, null, nowIso)
  expect(routeStatusOf(ready, before, '2026-02-02T00:00:00Z')).toEqual(before)
})
