/**
 * Experts on a local instance, from the file to the answer: what a client names reaches the worker, the gate chooses for who names
 * nothing, and an adapter that cannot be used fails nobody but who asks for it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatedTexts, simulatedExperts } from './support/simulatedExperts.ts'
import { whyNoNats } from './support/needs.ts'
import { freePort, Place, type Run } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`experts are not tested: ${reason}`)

describe.skipIf(reason !== null)('a pair with experts on a local instance', () => {
  let place: Place
  let run: Run
  let url: string

  beforeAll(async () => {
    place = new Place()
    const port = String(await freePort())
    url = `http://127.0.0.1:${port}`
    const pair = {
      apiVersion: 'paceline.dev/v1alpha1',
      kind: 'ModelDeployment',
      metadata: { name: 'smol' },
      spec: {
        engine: {
          kind: 'simulated',
          slots: 4,
          contextTokensMax: 128,
          simulated: { stepMs: 1, promptTokensPerSecond: 100_000, refusedExperts: ['law'] },
        },
        ...simulatedExperts(place, ['sql', 'verse', 'law']),
      },
    }
    run = place.run('up', '--port', port, '--file', place.write('pair.yaml', JSON.stringify(pair)))
    await run.says('Try it:')
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  const post = (path: string, body: object) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-paceline-explain': 'true' },
      body: JSON.stringify(body),
    })
  const ask = async (model: string, content = 'select a from b') => {
    const messages = [{ role: 'user', content }]
    const response = await post('/v1/chat/completions', { model, max_tokens: 8, seed: 1, messages })
    const body = (await response.json()) as {
      model?: string
      choices?: { message: { content: string } }[]
      error?: { code: string; message: string }
    }
    const header = (name: string) => response.headers.get(`x-paceline-${name}`)
    const by = { expert: header('expert'), cause: header('expert-cause') }
    return { status: response.status, ...body, text: body.choices?.[0]?.message.content ?? '', by }
  }
  const until = async (what: string, look: () => Promise<boolean>) => {
    for (let waited = 0; !(await look()); waited += 50) {
      if (waited > 30_000) throw new Error(`never seen: ${what}`)
      await sleep(50)
    }
  }

  test('answers each name as that expert would, and the same name the same again', async () => {
    await until('experts offered', async () => (await ask('smol:sql')).status === 200)
    const [plain, sql, verse] = [await ask('smol:base'), await ask('smol:sql'), await ask('smol:verse')]
    expect([plain.model, sql.model, verse.model]).toEqual(['smol:base', 'smol:sql', 'smol:verse'])
    expect(new Set([plain.text, sql.text, verse.text]).size).toBe(3)
    expect((await ask('smol:sql')).text).toBe(sql.text)
    expect(sql.by).toEqual({ expert: 'sql', cause: 'named' })
    expect(plain.by.expert).toBeNull()
  })

  test('leaves the choice to the gate where the client makes none', async () => {
    // A worker on a busy machine may answer later than a request waits for it; its answer then counts for the next one.
    for (const [expert, own] of Object.entries(gatedTexts))
      for (const text of own)
        await until(`${text} at ${expert}`, async () => (await ask('smol', text)).by.expert === expert)
    const named = await ask('smol:sql', gatedTexts.sql[0])
    const gated = await ask('smol', gatedTexts.sql[0])
    expect(gated.by).toEqual({ expert: 'sql', cause: 'remembered' })
    expect(gated.text).toBe(named.text)
    const messages = [{ role: 'user', content: gatedTexts.verse[0] }]
    const explained = await post('/v1/route:explain', { model: 'smol', messages })
    expect(await explained.json()).toMatchObject({ deployment: 'smol', expert: { name: 'verse', cause: 'remembered' } })
  })

  test('refuses an expert that it does not have and one that cannot be used, and says so where one looks', async () => {
    const unknown = await ask('smol:poetry')
    expect([unknown.status, unknown.error?.code]).toEqual([404, 'model_not_found'])
    expect(unknown.error?.message).toContain('it has sql, verse, law')
    const refused = await ask('smol:law')
    expect([refused.status, refused.error?.code]).toEqual([503, 'model_unusable'])
    const models = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string; parent?: string }[] }
    expect(models.data.map(({ id }) => id)).toEqual(['smol', 'smol:sql', 'smol:verse', 'smol:law'])
    expect(models.data[1]?.parent).toBe('smol')
    const status = place.run('status', '--port', new URL(url).port, '--json')
    await status.ended()
    expect(status.output).toMatch(/ExpertsReady.*OtherBase/s)
  })
})
