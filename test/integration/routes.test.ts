/**
 * Routes on a local instance, from the file to the answer: who gets a request is what the file says, follows its edits without a
 * restart, and is told in every place that promises to tell it.
 */
import OpenAI from 'openai'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNats } from './support/needs.ts'
import { freePort, Place, route, type Run, simulated } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`routes are not tested: ${reason}`)

const shares = (stable: number, canary: number) =>
  `weighted: [{ deployment: stable, weight: ${stable} }, { deployment: canary, weight: ${canary} }]`
const sessions = Array.from({ length: 16 }, (_, i) => `session-${i}`)

describe.skipIf(reason !== null)('a route of a local instance', () => {
  let place: Place
  let run: Run
  let url: string
  const files = (strategy: string, pairs = ['stable', 'canary']) =>
    place.write('pairs.yaml', [...pairs.map((name) => simulated(name)), route('assistant', strategy)].join('\n---\n'))

  beforeAll(async () => {
    place = new Place()
    const port = String(await freePort())
    url = `http://127.0.0.1:${port}`
    run = place.run('up', '--port', port, '--file', files(shares(1, 1)))
    await run.says('Try it:')
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  const planned = async (user: string) => {
    const response = await fetch(`${url}/v1/route:explain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'assistant', user }),
    })
    return (await response.json()) as { deployment: string; cause: string }
  }
  const answeredBy = async (user: string) => {
    const client = new OpenAI({ apiKey: 'none', baseURL: `${url}/v1`, maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: 'hello' }]
    const request = { model: 'assistant', messages, max_tokens: 2, user }
    const { data, response } = await client.chat.completions
      .create(request, { headers: { 'x-paceline-explain': 'true' } })
      .withResponse()
    expect(data.model).toBe('assistant')
    return response.headers.get('x-paceline-deployment')
  }
  const plans = async () => Promise.all(sessions.map(planned))
  const until = async (what: string, look: () => Promise<boolean>) => {
    for (let waited = 0; !(await look()); waited += 50) {
      if (waited > 30_000) throw new Error(`never seen: ${what}`)
      await sleep(50)
    }
  }

  test('answers each session where explain said that it would, by both deployments', async () => {
    await until('both ready', async () => (await plans()).every(({ cause }) => cause === 'session'))
    const before = await plans()
    expect(new Set(before.map(({ deployment }) => deployment))).toEqual(new Set(['stable', 'canary']))
    const after = await Promise.all(sessions.map(answeredBy))
    expect(after).toEqual(before.map(({ deployment }) => deployment))
  })

  test('follows an edit of its shares, and tells status what it does', async () => {
    files(shares(1, 0))
    await until('all on stable', async () => (await plans()).every(({ deployment }) => deployment === 'stable'))
    const status = place.run('status', '--port', new URL(url).port)
    await status.ended()
    expect(status.output).toMatch(/assistant +assistant +weighted +True +Routing +requests .* go to stable \(100%\)/)
  })

  test('sends nobody to a deployment that is taken away, and says that it is missing', async () => {
    files(shares(1, 1), ['stable'])
    await until('stand-ins', async () => (await plans()).some(({ cause }) => cause === 'stand-in'))
    expect(new Set(await Promise.all(sessions.map(answeredBy)))).toEqual(new Set(['stable']))
    const status = place.run('status', '--port', new URL(url).port)
    await status.ended()
    expect(status.output).toContain('there is no ModelDeployment canary')
  })
})
