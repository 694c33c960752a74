/** Calibrations of routes in a played cluster: ConfigMaps that come, change and go, and labels that speak against one. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { calibrationDigest } from '#contracts/calibration.ts'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { subjects } from '#contracts/subjects.ts'
import { encode } from '#runtime/messages.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { type OperatorLife, standClock, startOperatorLife } from '#test/kubernetes/operatorStand.ts'
import { eventually } from '#test/kubernetes/stand.ts'
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createRandom } from '#test/simulate/random.ts'
import { calibration, cascadeSpec, textsWith } from '../core/calibrations.fixture.ts'

let server: FakeApiServer
let network: FakeNetwork
const lives: OperatorLife[] = []

beforeEach(async () => {
  server = await startFakeApiServer()
  network = createFakeNetwork({ clock: standClock, random: createRandom(1) })
})
afterEach(async () => {
  for (const life of lives.splice(0)) await life.end()
  await server[Symbol.asyncDispose]()
})

const start = async () => {
  const life = await startOperatorLife(server, network)
  lives.push(life)
  return life
}
const statusOf = () => server.object('modelroutes', 'helper')?.['status'] as ModelRouteStatus | undefined
const conditionOf = (type: string) => statusOf()?.conditions.find((condition) => condition.type === type)
const says = (reason: string) =>
  eventually(
    () => conditionOf('CalibrationReady')?.reason === reason,
    () => JSON.stringify(statusOf()),
  )
const route = () => server.put('modelroutes', { metadata: { name: 'helper' }, spec: cascadeSpec })
const texts = (data: Readonly<Record<string, string>>, labels: object = { 'paceline.dev/kind': 'calibration' }) =>
  server.put('configmaps', { metadata: { name: 'smol-calibration', labels }, data })
const guarantee = (life: OperatorLife) => {
  const [state] = life.hosting.routes()
  const policy = state?.record?.policy
  return policy?.kind === 'cascade' ? policy.steps[0]?.accept?.guarantee : undefined
}

test('a cascade whose ConfigMap comes, is edited and goes is told so without a restart, and so are routers', async () => {
  const life = await start()
  route()
  await says('ReferencesNotUnderstood')
  expect(conditionOf('Degraded')).toMatchObject({ status: 'True', reason: 'DeploymentMissing' })
  expect(guarantee(life)).toEqual({ kind: 'none', reason: 'no-references' })
  texts(textsWith())
  await says('Calibrated')
  expect(guarantee(life)).toMatchObject({ kind: 'holds', threshold: 0.3 })
  expect(statusOf()?.calibrations).toMatchObject([{ deployment: 'smol', state: 'Holds', threshold: 0.3, labels: 400 }])
  texts({ ...textsWith(), 'cascade.json': '{"threshold": 1}' })
  await says('CalibrationNotUnderstood')
  expect(conditionOf('CalibrationReady')?.message).toContain('cascade.json: line 1: kind: ')
  expect(guarantee(life)).toEqual({ kind: 'none', reason: 'no-calibration' })
  server.delete('configmaps', 'smol-calibration')
  await says('ReferencesNotUnderstood')
  const notes = server.objects('events').filter(({ regarding }) => JSON.stringify(regarding).includes('ModelRoute'))
  expect(notes.map(({ reason }) => reason)).toContain('Calibrated')
})

test('a ConfigMap without the label is not looked at', async () => {
  await start()
  route()
  texts(textsWith(), {})
  await says('ReferencesNotUnderstood')
  expect(conditionOf('CalibrationReady')?.message).toContain('with the label paceline.dev/kind: calibration')
})

test('labels that speak against it end it, and the next leader knows', async () => {
  const life = await start()
  route()
  texts(textsWith())
  await says('Calibrated')
  const router = network.connect('router')
  const label = {
    route: RouteName.parse('helper'),
    deployment: DeploymentName.parse('smol'),
    calibration: calibrationDigest(calibration),
    correct: false,
  }
  await eventually(
    () => {
      router.publish(subjects.routeLabel(label.route), encode(label))
      return conditionOf('CalibrationReady')?.reason === 'BoundBroken'
    },
    () => JSON.stringify(statusOf()),
  )
  expect(guarantee(life)).toEqual({ kind: 'none', reason: 'broken' })
  await life.end()
  lives.length = 0
  const next = await start()
  expect(guarantee(next)).toEqual({ kind: 'none', reason: 'broken' })
  texts(textsWith({ threshold: 0.5 }))
  await says('Calibrated')
  expect(guarantee(next)).toMatchObject({ kind: 'holds', threshold: 0.5 })
})
