import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DeploymentName, RequestId, RouteName, TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { RouteLabel } from '#contracts/messages.ts'
import { subjects } from '#contracts/subjects.ts'
import { silentLog } from '#runtime/log.ts'
import { decode, encode } from '#runtime/messages.ts'
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createFakeClock, type FakeClock } from '#test/simulate/fakeClock.ts'
import { createRandom } from '#test/simulate/random.ts'
import { Feedback } from './feedback.ts'
import { type ServedStage, serveStage } from './testing/server.ts'

const tenant = TenantId.parse('ada')
const kept = (request: string, calibration = 'c') => ({
  request: RequestId.parse(request),
  tenant,
  route: RouteName.parse('assistant'),
  deployment: DeploymentName.parse('smol'),
  calibration,
  score: 0.5,
})
const label = (request: string, correct = true, by = tenant) => ({
  request: RequestId.parse(request),
  tenant: by,
  correct,
})

let clock: FakeClock
let network: FakeNetwork
let heard: RouteLabel[]
let first: Feedback
let second: Feedback
beforeEach(async () => {
  clock = createFakeClock()
  network = createFakeNetwork({ clock, random: createRandom(1) })
  heard = []
  network.connect('operator').subscribe(subjects.allRouteLabels, (payload) => heard.push(decode(RouteLabel, payload)))
  first = new Feedback({ bus: network.connect('first'), clock, log: silentLog })
  second = new Feedback({ bus: network.connect('second'), clock, log: silentLog })
  first.start()
  second.start()
  await clock.advance(10)
})

test('a label of an answer that was kept goes to the operator, once', async () => {
  first.remember(kept('r1'))
  expect(first.take(label('r1', false))).toBe('counted')
  expect(first.take(label('r1', false))).toBe('passed-on')
  await clock.advance(10)
  expect(heard).toEqual([{ route: 'assistant', deployment: 'smol', calibration: 'c', correct: false }])
})

test('whichever router is told, the one that gave the answer counts it', async () => {
  first.remember(kept('r1'))
  expect(second.take(label('r1'))).toBe('passed-on')
  await clock.advance(10)
  expect(heard).toHaveLength(1)
  expect(first.take(label('r1'))).toBe('passed-on')
})

test('nobody labels what another tenant was answered', async () => {
  first.remember(kept('r1'))
  expect(first.take(label('r1', true, TenantId.parse('eve')))).toBe('passed-on')
  await clock.advance(10)
  expect(heard).toEqual([])
  expect(first.take(label('r1'))).toBe('counted')
})

test('what is too old is forgotten, and so is the oldest of too many', async () => {
  first.remember(kept('old'))
  clock.advanceNow(limits.calibration.decisionsAgeMsMax + 1)
  expect(first.take(label('old'))).toBe('passed-on')
  for (let i = 0; i <= limits.calibration.decisionsMax; i += 1) first.remember(kept(`r${i}`))
  expect(first.take(label('r0'))).toBe('passed-on')
  expect(first.take(label('r1'))).toBe('counted')
})

test('of a request id that is used again the newer answer is meant', async () => {
  first.remember(kept('r1', 'older'))
  first.remember(kept('r1', 'newer'))
  first.take(label('r1'))
  await clock.advance(10)
  expect(heard).toMatchObject([{ calibration: 'newer' }])
})

test('what is not understood is passed over', async () => {
  first.remember(kept('r1'))
  network.connect('stranger').publish(subjects.passedLabel, encode({ request: 'r1' }))
  await clock.advance(10)
  expect(heard).toEqual([])
})

describe('over HTTP', () => {
  let stage: ServedStage
  beforeAll(async () => {
    stage = await serveStage()
  })
  afterAll(() => stage.close())

  test('a label of an answer that nobody kept is taken and passed on', async () => {
    const response = await stage.post('/v1/feedback', { request_id: 'r1', correct: true })
    expect(response.status).toBe(202)
    expect(await response.json()).toEqual({ object: 'feedback', request_id: 'r1', status: 'passed-on' })
  })

  test('what is no label is refused by its field', async () => {
    const refused = await stage.post('/v1/feedback', { request_id: 'r1', correct: 'yes' })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: { param: 'correct' } })
    expect((await stage.post('/v1/feedback', { request_id: 'a b', correct: true })).status).toBe(400)
    expect((await fetch(`${stage.http.url}/v1/feedback`)).status).toBe(405)
  })
})
