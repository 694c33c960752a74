/**
 * A risk route with real processes, from nothing to a score: without a calibration the larger pair answers and traffic is kept; what
 * `paceline calibrate risk` learns from that, without a label, tells answers of known quality apart; purged is gone.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RiskExample } from '#contracts/riskExample.ts'
import { whyNoNats } from './support/needs.ts'
import { isRight, quizEngine } from './support/quizCascade.ts'
import { freePort, Place, route, type Run } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`risk routes are not tested: ${reason}`)

const pair = (name: string, quiz: string) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec:
  engine:
    kind: simulated
    slots: 16
    contextTokensMax: 2048
    embeddings: true
    ${quizEngine(quiz)}
`
/** Two rules that see most of what is wrong, the model's own word, and one that nobody can wait for. */
const risk = (more: string) =>
  route(
    'assistant',
    `risk:
    deployment: small
    escalateTo: large
    answerBelow: 0.3
    escalateFrom: 0.3
    sources:
      - { name: wrong-word, expression: { pattern: "^ *not", yes: wrong, no: right } }
      - { name: hopeless, expression: { pattern: "^(([a-z ])+.)+[A-Z]([a-z ])+$", yes: wrong, no: abstain } }
      - { name: own, ownLabel: {} }
    trafficLog: { share: 1, texts: true, redact: [{ pattern: "number \\\\d+", with: "[number]" }] }
    ${more}`,
  )
const questions = Array.from({ length: 160 }, (_, i) => `what is number ${i}?`)

describe.skipIf(reason !== null)('a risk route of a local instance', () => {
  let place: Place
  let run: Run
  let client: OpenAI
  let url: string
  let port: string
  const files = (more: string, ...maps: string[]) =>
    place.write(
      'risk.yaml',
      [pair('small', '{ right: 0.6 }'), pair('large', '{ right: 1 }'), risk(more), ...maps].join('\n---\n'),
    )
  const ask = async (content: string) => {
    const messages = [{ role: 'user' as const, content }]
    const { data, response } = await client.chat.completions
      .create({ model: 'assistant', messages, max_tokens: 4 }, { headers: { 'x-paceline-explain': 'true' } })
      .withResponse()
    const header = (name: string) => response.headers.get(`x-paceline-${name}`)
    const text = data.choices[0]?.message.content ?? ''
    return { text, by: header('deployment'), cause: header('cause'), risk: header('risk') }
  }
  const until = async (what: string, look: () => boolean | Promise<boolean>) => {
    for (let waited = 0; !(await look()); waited += 100) {
      if (waited > 30_000) throw new Error(`never seen: ${what}\n${run.output.slice(-2_000)}`)
      await sleep(100)
    }
  }
  const planned = async () => {
    const body = JSON.stringify({ model: 'assistant' })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/v1/route:explain`, { method: 'POST', headers, body })
    return (await response.json()) as { deployment?: string; cause?: string }
  }
  const keptFile = () => join(place.cacheDir, 'run', port, 'traffic', 'assistant.jsonl')
  const kept = () =>
    (existsSync(keptFile()) ? readFileSync(keptFile(), 'utf8') : '')
      .split('\n')
      .slice(0, -1)
      .map((line) => RiskExample.parse(JSON.parse(line)))

  beforeAll(async () => {
    place = new Place()
    port = String(await freePort())
    url = `http://127.0.0.1:${port}`
    client = new OpenAI({ apiKey: 'none', baseURL: `${url}/v1`, maxRetries: 0 })
    run = place.run('up', '--port', port, '--file', files(''))
    await run.says('Try it:')
    await until('the route', async () => (await planned()).cause === 'uncalibrated')
    await until('both answer', async () => {
      const [small, large] = await Promise.all(['small', 'large'].map((model) => client.models.retrieve(model)))
      return (
        small !== undefined &&
        large !== undefined &&
        (await ask('hello?').catch(() => null)) !== null &&
        kept().length > 0
      )
    })
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  test('keeps what the first pair would have said, redacted, while the other one answers', async () => {
    const answers = await Promise.all(questions.map(ask))
    expect(new Set(answers.map(({ by, cause }) => `${by} ${cause}`))).toEqual(new Set(['large uncalibrated']))
    await until('everything kept', () => kept().length > questions.length)
    const [example] = kept().slice(-1)
    expect(example).toMatchObject({ question: 'what is [number]?', ownLabel: 0, risk: null, model: 'simulated' })
    // It backtracks for ever: given up, asked no more, and everything else goes on.
    expect(kept().filter(({ votes }) => votes['hopeless'] !== null)).toEqual([])
    expect(kept().filter(({ votes }) => votes['wrong-word'] !== null).length).toBeGreaterThan(questions.length - 8)
  })

  test('learns from that, tells right from wrong, and gives no wrong answer of the first pair', async () => {
    const labels = kept().map(({ request, answer }) =>
      JSON.stringify({ request, correct: isRight(answer ?? ''), answer: 'first' }),
    )
    const map = join(place.folder, 'map.txt')
    const labelled = place.write('labels.txt', labels.slice(0, 60).join('\n'))
    const traffic = ['--traffic', keptFile(), '--labels', labelled, '--name', 'quiz-risk', '--out', map]
    const learning = place.run('calibrate', 'risk', ...traffic, '--weight', 'own=0.2')
    expect(await learning.ended()).toBe(0)
    expect(learning.output).toMatch(/60 labelled ones .*: calibration error 0\.\d+, R² /)
    files('calibration: { configMap: quiz-risk }', readFileSync(map, 'utf8'))
    await until('calibrated', async () => (await planned()).deployment === 'small')
    const answers = await Promise.all(questions.slice(0, 60).map((question) => ask(`tell me ${question}`)))
    const given = answers.filter(({ by }) => by === 'small')
    expect(given.length).toBeGreaterThan(15)
    expect(answers.filter(({ text }) => !isRight(text)).length).toBeLessThanOrEqual(2)
    for (const { risk: score } of answers) expect(Number(score)).toBeLessThanOrEqual(1)
  })

  test('with a calibration of another model escalates everything, and its status says why', async () => {
    const map = readFileSync(join(place.folder, 'map.txt'), 'utf8').replace(
      '"model": "simulated"',
      `"model": "${'ab'.repeat(32)}"`,
    )
    files('calibration: { configMap: quiz-risk }', map)
    await until('refused', async () => (await planned()).cause === 'uncalibrated')
    expect(await ask('who?')).toMatchObject({ by: 'large', risk: null })
    const status = place.run('status', '--port', port)
    await status.ended()
    expect(status.output).toContain('the calibration is one of another model than small has')
  })

  test('what was kept is purged', async () => {
    writeFileSync(join(place.cacheDir, 'run', port, 'traffic', 'other.jsonl'), '')
    const purge = place.run('traffic', 'purge', '--port', port, '--route', 'assistant')
    expect(await purge.ended()).toBe(0)
    expect(kept()).toEqual([])
  })
})
