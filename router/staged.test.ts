import { describe, expect, test } from 'vitest'
import { RequestId, RouteName, TenantId } from '#contracts/ids.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { CascadePolicy } from '#contracts/records.ts'
import { encode } from '#runtime/messages.ts'
import type { Router } from './router.ts'
import { named, policyOf } from './testing/cascadeStage.ts'
import { askRoute } from './testing/stagedRequest.ts'
import { type FakeStage, fakeStage, settled } from './testing/stage.ts'

const routed = (policy: CascadePolicy) => ({ route: RouteName.parse('both'), name: 'both', created: 1, policy })

async function staged(): Promise<FakeStage> {
  const stage = await fakeStage()
  await Promise.all([...['large', 'judge'].map((each) => stage.publish(named(each))), stage.clock.advance(100)])
  stage.worker({ name: 'w-large', deployment: 'large' })
  await settled(stage)
  return stage
}

describe('a bug in what a cascade does', () => {
  const broken =
    (stage: FakeStage): Router['submitInner'] =>
    (request, sink) => {
      if (request.model.deployment === 'smol') throw new Error('a bug')
      return stage.router.submitInner(request, sink)
    }

  test.each([
    ['aside is only logged: the client has its answer', true, 't0 t1 ', 0, 1],
    ['for the client is told', false, '', 1, 0],
  ] as const)('%s', async (_what, shadow, text, threw, threwAside) => {
    const stage = await staged()
    const asked = await askRoute(stage, routed(policyOf({ shadow })), { tokens: 2, submitInner: broken(stage) })
    await settled(stage)
    expect(asked.sink.text).toBe(text)
    expect([asked.threw.length, asked.threwAside.length]).toEqual([threw, threwAside])
  })
})

test('an answer that outgrows what may be held while it is judged is ended, and the next step asked', async () => {
  const stage = await staged()
  const ended: string[] = []
  const text = 'x'.repeat(limits.router.innerAnswerCharactersMax + 1)
  const submitInner: Router['submitInner'] = (request, sink) => {
    const { deployment } = request.model
    if (deployment === 'large') return stage.router.submitInner(request, sink)
    if (deployment === 'smol') {
      sink.delta(0, [{ index: 0, text: 'four', tokens: [1, 2, 3, 4] }])
      stage.clock.after(10, () => sink.delta(0, [{ index: 0, text, tokens: [5] }]))
    } else stage.clock.after(20, () => sink.end({ kind: 'cancelled' }))
    return { cancel: () => ended.push(deployment) }
  }
  const policy = policyOf({ streaming: { mode: 'early', tokens: 4 } })
  const asked = await askRoute(stage, routed(policy), { tokens: 2, submitInner })
  await settled(stage)
  expect(ended).toEqual(['smol'])
  expect(asked).toMatchObject({ chosen: ['large'], sink: { text: 't0 t1 ' }, threw: [] })
})

test('a route that is gone leaves nothing behind: one that comes under its name begins with its whole budget', async () => {
  const stage = await staged()
  const policy = policyOf({ escalationRateMax: 0.01 })
  const submitInner: Router['submitInner'] = (request, sink) => {
    if (request.model.deployment === 'large') return stage.router.submitInner(request, sink)
    sink.end({ kind: 'failed', failure: new Failure('engine-fault', 'broken') })
    return { cancel: () => undefined }
  }
  const credit = () => {
    const staged = stage.router.stagedRoute('both')
    if (staged === undefined) return null
    const named = { id: RequestId.parse('q'), model: 'both', tenant: TenantId.parse('public') }
    return stage.router.explain({ ...named, key: { source: 'request', value: 'q' } })?.plan
  }
  await askRoute(stage, routed(policy), { tokens: 2, submitInner })
  await settled(stage)
  expect(credit()).toMatchObject({ escalation: { credit: 9 } })
  await Promise.all([stage.operator.remove('routes', 'both'), stage.clock.advance(100)])
  expect(credit()).toBeNull()
  const again = routed(policy)
  await Promise.all([stage.operator.put('routes', 'both', encode(again)), stage.clock.advance(100)])
  expect(credit()).toMatchObject({ escalation: { credit: 10 } })
})
