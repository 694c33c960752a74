import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { RouteRecord } from '#contracts/records.ts'
import { encode } from '#runtime/messages.ts'
import { type FakeWorker, modelRecord } from './testing/fakeWorker.ts'
import { type ServedStage, serveStage, until } from './testing/server.ts'
import { metricValue } from './testing/stage.ts'

let stage: ServedStage
let large: FakeWorker

const routeRecord = (
  route: string,
  policy: RouteRecord['policy'],
  changes: Partial<RouteRecord> = {},
): RouteRecord => ({
  route: RouteName.parse(route),
  name: `model-${route}`,
  created: 1_700_000_001,
  policy,
  ...changes,
})
const weighted = (weights: Readonly<Record<string, number>>): RouteRecord['policy'] => ({
  kind: 'weighted',
  targets: Object.entries(weights).map(([name, weight]) => ({ deployment: DeploymentName.parse(name), weight })),
})
const publish = (record: RouteRecord) => stage.operator.put('routes', record.route, encode(record))
const named = (name: string) => modelRecord({ deployment: DeploymentName.parse(name), servedNames: [name] })

beforeAll(async () => {
  stage = await serveStage({ worker: { text: () => 'small ' } })
  await stage.publish({ ...named('large'), contextTokensMax: 512 })
  await stage.publish(named('asleep-forever'))
  large = stage.worker({ name: 'w-large', deployment: 'large', stepMs: 2, text: () => 'large ' })
  await publish(routeRecord('alias', { kind: 'direct', deployment: DeploymentName.parse('large') }))
  await publish(routeRecord('canary', weighted({ smol: 1, large: 1 })))
  await publish(routeRecord('half-down', weighted({ smol: 1, 'asleep-forever': 1 })))
  await publish(routeRecord('nobody', weighted({ ghost: 1 })))
  await until(() => stage.router.model('large')?.ready === true && stage.router.routes().length === 4)
})
afterAll(async () => {
  large.stop()
  await stage.close()
})

interface Explained {
  readonly deployment: string | null
  readonly cause: string
  readonly session: string
  readonly share: number
  readonly candidates: readonly { deployment: string; standing: string; share: number }[]
}

const explain = async (body: object, headers: Record<string, string> = {}) => {
  const response = await stage.post('/v1/route:explain', body, { headers })
  return { status: response.status, body: (await response.json()) as Explained }
}
const textOf = async (response: Response) => {
  const body = (await response.json()) as { model: string; choices: { message: { content: string } }[] }
  return `${body.model}: ${body.choices[0]?.message.content ?? ''}`
}

describe('a route is a model name to clients', () => {
  test('listed with what it stands for, and what everything behind it can', async () => {
    const list = (await (await fetch(`${stage.http.url}/v1/models`)).json()) as { data: { id: string }[] }
    expect(list.data.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['smol', 'large', 'model-alias', 'model-canary', 'model-nobody']),
    )
    expect(list.data.find(({ id }) => id === 'model-canary')).toMatchObject({
      object: 'model',
      created: 1_700_000_001,
      paceline: {
        route: 'canary',
        strategy: 'weighted',
        deployments: [
          { deployment: 'smol', weight: 1 },
          { deployment: 'large', weight: 1 },
        ],
        ready: true,
        context_tokens_max: 512,
        capabilities: { chat: true },
      },
    })
    const one = await fetch(`${stage.http.url}/v1/models/model-nobody`)
    expect(await one.json()).toMatchObject({ id: 'model-nobody', paceline: { ready: false } })
  })

  test('answered by its deployment, under the name that was asked for', async () => {
    expect(await textOf(await stage.chat({ model: 'model-alias', max_tokens: 1 }))).toBe('model-alias: large ')
    const stream = await stage.chat({ model: 'model-alias', max_tokens: 1, stream: true })
    expect(await stream.text()).toMatch(/"model":"model-alias".*large /s)
    const completion = await stage.post('/v1/completions', { model: 'model-alias', prompt: 'a', max_tokens: 1 })
    expect(await completion.json()).toMatchObject({ model: 'model-alias', choices: [{ text: 'large ' }] })
    const vectors = await stage.post('/v1/embeddings', { model: 'model-alias', input: 'a' })
    expect(vectors.status).toBe(200)
  })

  test('held to the limits of the deployment that answers', async () => {
    const response = await stage.chat({ model: 'model-alias', max_tokens: 600 })
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('the context of large is 512 tokens')
  })

  test('refused with the reason where nothing that it names exists', async () => {
    const response = await stage.chat({ model: 'model-nobody' }, { headers: { 'x-paceline-explain': 'true' } })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(response.headers.get('x-paceline-cause')).toBe('none-exists')
    expect(await response.text()).toContain("the route 'model-nobody' names no deployment that exists")
  })
})

describe('shares', () => {
  const sessions = Array.from({ length: 12 }, (_, i) => `session-${i}`)

  test('a session stays where it is, by header as by body; explain says beforehand where', async () => {
    for (const session of sessions) {
      const { body: plan } = await explain({ model: 'model-canary', user: session })
      expect(plan).toMatchObject({ cause: 'session', session: 'user', share: 0.5 })
      const word = plan.deployment === 'large' ? 'large ' : 'small '
      const byBody = stage.chat({ model: 'model-canary', max_tokens: 1, user: session })
      const headers = { 'x-session-id': session }
      const byHeader = stage.chat({ model: 'model-canary', max_tokens: 1, user: 'x' }, { headers })
      for (const response of await Promise.all([byBody, byHeader]))
        expect(await textOf(response)).toBe(`model-canary: ${word}`)
    }
  })

  test('without a session each request stands for itself', async () => {
    const causes = new Set<string>()
    const chosen = new Set<string | null>()
    for (let i = 0; i < 20; i += 1) {
      const { body: decision } = await explain({ model: 'model-canary' })
      causes.add(`${decision.cause} by ${decision.session}`)
      chosen.add(decision.deployment)
    }
    expect([...causes]).toEqual(['share by request'])
    expect(chosen.size).toBe(2)
  })

  test('of a deployment without a worker go to the others, and the decision says so', async () => {
    const causes = new Set<string>()
    for (const user of sessions) {
      const headers = { 'x-paceline-explain': '1' }
      const response = await stage.chat({ model: 'model-half-down', max_tokens: 1, user }, { headers })
      expect([response.status, response.headers.get('x-paceline-deployment')]).toEqual([200, 'smol'])
      causes.add(response.headers.get('x-paceline-cause') ?? '')
    }
    expect(causes).toEqual(new Set(['session', 'stand-in']))
  })

  test('two routers decide alike', async () => {
    const other = await serveStage()
    try {
      await other.publish(named('large'))
      const second = other.worker({ name: 'w2', deployment: 'large', stepMs: 2 })
      const record = routeRecord('canary', weighted({ smol: 1, large: 1 }))
      await other.operator.put('routes', record.route, encode(record))
      await until(() => other.router.model('large')?.ready === true && other.router.routes().length === 1)
      for (const user of sessions) {
        const response = await other.post('/v1/route:explain', { model: 'model-canary', user })
        const mine = (await response.json()) as Explained
        expect(mine.deployment).toBe((await explain({ model: 'model-canary', user })).body.deployment)
      }
      second.stop()
    } finally {
      await other.close()
    }
  })
})

describe('which worker it would be', () => {
  interface Planned {
    readonly pick: { readonly workers: readonly { readonly first_token_ms: number; readonly cost_ms: number }[] }
  }

  test('with the whole body: of each worker what it holds and what it would take', async () => {
    const messages = [{ role: 'user', content: 'a long question '.repeat(40) }]
    const { pick } = (await explain({ model: 'smol', messages })).body as unknown as Planned
    expect(pick).toMatchObject({ worker: 'w1', cause: 'only', prompt_tokens: 161, prefixes: 1 })
    expect(pick.workers).toMatchObject([{ worker: 'w1', standing: 'live', held_tokens: 0, place: 1 }])
    for (const { first_token_ms: first, cost_ms: cost } of pick.workers) expect(cost).toBeGreaterThan(first)
    expect(stage.router.active).toBe(0)
  })

  test('nothing of workers where there is no prompt, and a wrong one is refused', async () => {
    expect((await explain({ model: 'smol' })).body).not.toHaveProperty('pick')
    expect((await explain({ model: 'smol', messages: [] })).status).toBe(400)
  })
})

describe('a decision leaves its record', () => {
  test('in headers, on request only, of streams too', async () => {
    const headers = { 'x-paceline-explain': 'true', 'x-user-id': 'u1' }
    for (const streaming of [false, true]) {
      const response = await stage.chat({ model: 'model-alias', max_tokens: 1, stream: streaming }, { headers })
      const own = [...response.headers].filter(([name]) => name.startsWith('x-paceline-'))
      expect(Object.fromEntries(own)).toMatchObject({
        'x-paceline-route': 'alias',
        'x-paceline-strategy': 'direct',
        'x-paceline-deployment': 'large',
        'x-paceline-cause': 'direct',
        'x-paceline-session': 'x-user-id',
        'x-paceline-share': '1.0000',
      })
      await response.text()
    }
    const silent = await stage.chat({ model: 'model-alias', max_tokens: 1 })
    expect([...silent.headers.keys()].filter((name) => name.startsWith('x-paceline-'))).toEqual([])
  })

  test('in metrics, by route, deployment and cause, and with the outcome', async () => {
    const line = 'paceline_route_requests_total{route="alias",deployment="large",outcome="completed"}'
    const decisions = 'paceline_route_decisions_total{route="alias",deployment="large",cause="direct"}'
    const before = [await metricValue(stage, line), await metricValue(stage, decisions)]
    await (await stage.chat({ model: 'model-alias', max_tokens: 1 })).text()
    await stage.chat({ model: 'model-alias', max_tokens: 600 })
    await explain({ model: 'model-alias' })
    const after = [await metricValue(stage, line), await metricValue(stage, decisions)]
    expect(after).toEqual([(before[0] ?? 0) + 1, (before[1] ?? 0) + 2])
  })
})

describe('POST /v1/route:explain', () => {
  test('weighs everybody and does nothing', async () => {
    const received = large.received.length
    const { status, body } = await explain({ model: 'model-half-down', messages: [{ role: 'user', content: 'hi' }] })
    expect(status).toBe(200)
    expect(body).toMatchObject({ object: 'route.decision', route: 'half-down', strategy: 'weighted', threshold: null })
    expect(body.candidates.map(({ deployment, standing, share }) => [deployment, standing, share])).toEqual([
      ['smol', 'ready', 1],
      ['asleep-forever', 'unready', 0],
    ])
    expect(large.received.length).toBe(received)
  })

  test('says of a deployment’s own name that it was named', async () => {
    const { body } = await explain({ model: 'smol' })
    expect(body).toMatchObject({ route: null, strategy: 'none', deployment: 'smol', cause: 'named' })
  })

  test('refuses what every endpoint refuses, in the same form', async () => {
    expect((await explain({ model: 'no-such' })).status).toBe(404)
    expect((await explain({})).status).toBe(400)
    expect((await explain({ model: 'smol', user: 7 })).status).toBe(400)
    expect((await fetch(`${stage.http.url}/v1/route:explain`)).status).toBe(405)
    expect((await stage.post('/v1/route:other', {})).status).toBe(404)
  })
})

describe('names that change hands', () => {
  test('a deployment’s name is looked up before a route’s, and of two routes the older one keeps it', async () => {
    const named = { name: 'contested' }
    await publish(routeRecord('young', weighted({ smol: 1 }), { ...named, created: 20 }))
    await publish(routeRecord('old', weighted({ large: 1 }), { ...named, created: 10 }))
    await until(() => stage.router.route('contested')?.record.route === 'old')
    await publish(routeRecord('shadow', weighted({ large: 1 }), { name: 'smol' }))
    await until(async () => (await explain({ model: 'smol' })).body.cause === 'named')
    for (const route of ['young', 'old', 'shadow']) await stage.operator.remove('routes', route)
    await until(() => stage.router.route('contested') === undefined)
    expect((await explain({ model: 'contested' })).status).toBe(404)
  })

  test('a record of another form is skipped, and the others stay', async () => {
    await stage.operator.put('routes', 'strange', encode({ route: 'strange', name: 'x', policy: { kind: 'mirrored' } }))
    await stage.operator.flush()
    expect((await explain({ model: 'model-alias' })).status).toBe(200)
    await stage.operator.remove('routes', 'strange')
  })
})

test('a deployment that sleeps is woken by its share: the request is held, not sent elsewhere', async () => {
  const sleeper = { ...named('sleeper'), scaling: { fromZero: true, holdMsMax: limits.queue.holdMsMax } }
  await stage.publish(sleeper)
  await publish(routeRecord('wakes', weighted({ sleeper: 1 })))
  await until(() => stage.router.route('model-wakes') !== undefined)
  const answer = stage.chat({ model: 'model-wakes', max_tokens: 1 })
  await until(() => stage.router.queued(sleeper) === 1)
  const woken = stage.worker({ name: 'w-sleeper', deployment: 'sleeper', stepMs: 2 })
  expect((await answer).status).toBe(200)
  woken.stop()
})
