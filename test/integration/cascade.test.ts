/**
 * A cascade with real processes, simulated pairs and a simulated judge: what is right stays where it is cheap, what is not goes on, and
 * without its calibration everything does.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whyNoNats } from './support/needs.ts'
import { isRight, quizMap, quizPairs, quizRoute } from './support/quizCascade.ts'
import { freePort, Place, type Run } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`cascades are not tested: ${reason}`)

const explaining = { headers: { 'x-paceline-explain': 'true' } }
const questions = Array.from({ length: 24 }, (_, i) => `what is number ${i}?`)

describe.skipIf(reason !== null)('a cascade of a local instance', () => {
  let place: Place
  let run: Run
  let client: OpenAI
  let url: string
  const files = (...calibrations: string[]) => {
    const routes = [quizRoute('assistant'), quizRoute('watched', 'shadow: true')]
    return place.write('cascade.yaml', [...quizPairs, ...routes, ...calibrations].join('\n---\n'))
  }
  const ask = async (model: string, content: string) => {
    const messages = [{ role: 'user' as const, content }]
    const { data, response } = await client.chat.completions
      .create({ model, messages, max_tokens: 4 }, explaining)
      .withResponse()
    const header = (name: string) => response.headers.get(`x-paceline-${name}`)
    return {
      text: data.choices[0]?.message.content ?? '',
      by: header('deployment'),
      cause: header('cause'),
      steps: header('steps') ?? '',
    }
  }
  const until = async (what: string, look: () => Promise<boolean>) => {
    for (let waited = 0; !(await look()); waited += 100) {
      if (waited > 30_000) throw new Error(`never seen: ${what}\n${run.output.slice(-2_000)}`)
      await sleep(100)
    }
  }
  const planned = async () => {
    const body = JSON.stringify({ model: 'assistant' })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/v1/route:explain`, { method: 'POST', headers, body })
    return (await response.json()) as { deployment: string; cause: string; plan: { steps: { standing: string }[] } }
  }

  beforeAll(async () => {
    place = new Place()
    const port = String(await freePort())
    url = `http://127.0.0.1:${port}`
    client = new OpenAI({ apiKey: 'none', baseURL: `${url}/v1`, maxRetries: 0 })
    run = place.run('up', '--port', port, '--file', files(quizMap()))
    await run.says('Try it:')
    await until('everybody ready and the calibration read', async () => {
      const { cause, plan } = await planned()
      return cause === 'unjudged' && plan.steps.every(({ standing }) => standing === 'ready')
    })
    await until('the judge is ready', async () => (await ask('assistant', 'are you there?')).steps.includes('score='))
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  test('keeps what is right, passes on what is not, and so gives no wrong answer', async () => {
    const answers = await Promise.all(questions.map((question) => ask('assistant', question)))
    expect(answers.map(({ text }) => isRight(text))).toEqual(questions.map(() => true))
    const kept = answers.filter(({ by }) => by === 'small')
    expect(kept.length).toBeGreaterThan(4)
    expect(kept.length).toBeLessThan(20)
    for (const { cause, steps } of kept)
      expect([cause, steps]).toEqual(['reliable', expect.stringMatching(/guaranteed$/)])
    for (const { steps } of answers.filter(({ by }) => by === 'large'))
      expect(steps).toMatch(/^small:escalate:unreliable:score=-0\.\d+:threshold=0, large:keep:last-step$/)
  })

  test('computes the beginnings of its references once: later judgements find them in the judge’s prefix cache', async () => {
    const page = await (await fetch(`${url}/metrics`)).text()
    const cached = page.match(/^paceline_cached_prompt_tokens_total\{model="judge".*\} (\d+)$/m)?.[1]
    expect(Number(cached)).toBeGreaterThan(1_000)
  })

  test('streams the same answers', async () => {
    for (const content of questions.slice(0, 4)) {
      const whole = await ask('assistant', content)
      const messages = [{ role: 'user' as const, content }]
      const stream = await client.chat.completions.create({ model: 'assistant', messages, max_tokens: 4, stream: true })
      let text = ''
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      expect(isRight(text)).toBe(isRight(whole.text))
    }
  })

  test('in shadow mode only looks on', async () => {
    const answers = await Promise.all(questions.slice(0, 6).map((question) => ask('watched', question)))
    expect(new Set(answers.map(({ by, cause }) => `${by} ${cause}`))).toEqual(new Set(['large shadow']))
  })

  test('passes everything on once its calibration is gone', async () => {
    files()
    await until('nothing proved', async () => (await planned()).cause === 'uncalibrated')
    const answers = await Promise.all(questions.slice(0, 6).map((question) => ask('assistant', question)))
    expect(new Set(answers.map(({ by }) => by))).toEqual(new Set(['large']))
    expect(answers[0]?.steps).toMatch(/^small:escalate:uncalibrated, large:keep:last-step$/)
  })
})
