import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { Dispatch, TokenLogprob } from '#contracts/messages.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import type { RouteRecord } from '#contracts/records.ts'
import { RiskSource } from '#contracts/resources/riskRoute.ts'
import type { RiskCalibration } from '#contracts/riskCalibration.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import { RiskPolicy } from '#contracts/riskPolicy.ts'
import { encode } from '#runtime/messages.ts'
import { type FakeWorker, modelRecord } from './testing/fakeWorker.ts'
import { type ServedStage, serveStage, until } from './testing/server.ts'
import { metricValue } from './testing/stage.ts'

const name = (text: string) => DeploymentName.parse(text)
const named = (deployment: string) =>
  modelRecord({ deployment: name(deployment), servedNames: [deployment], model: 'simulated' })

/** Reads nothing of the embedding, and of the signals only how sure the model was: -0.1 is little risk, -0.8 some, -2 much. */
const document: RiskCalibration = {
  kind: 'RiskCalibration',
  version: 1,
  model: 'simulated',
  embedding: { model: 'simulated', width: 2 },
  signals: [{ name: 'meanLogProbability', mean: -1, scale: 1 }],
  labels: ['right', 'wrong'],
  sources: ['sure'],
  hidden: 0,
  parameters: packedNumbers([0, 0, 2, 0, 0, -2, 0, 0]),
  scalariser: 'quadratic',
  trained: { examples: 1, epochs: 1 },
  measured: null,
}
const sources = [
  { name: 'sure', logProbability: { meanMin: -0.5 } },
  { name: 'short', length: { charactersMax: 5 } },
  { name: 'polite', expression: { pattern: 'please', of: 'question', yes: 'right', no: 'abstain' } },
]

let stage: ServedStage
let large: FakeWorker
const kept: RiskExample[] = []
/** How sure the first deployment is, by how often it was asked. */
let sureness = { first: -0.1, second: -0.1 }

function sure({ work }: Dispatch): TokenLogprob {
  const isSecond = work.kind === 'chat' && work.messages.length > 1
  return { token: 'small', bytes: [], logprob: isSecond ? sureness.second : sureness.first, top: [] }
}

let published = 0
/** A route of its own for each test: its name. */
async function route(changes: Partial<RiskPolicy> = {}): Promise<string> {
  published += 1
  const model = `risk-${published}`
  const policy = RiskPolicy.parse({
    kind: 'risk',
    deployment: 'smol',
    escalateTo: 'large',
    embedding: 'smol',
    answerBelow: 0.2,
    escalateFrom: 0.5,
    reprompt: 'selfExamination',
    labels: [],
    sources: sources.map((source) => RiskSource.parse(source)),
    references: [],
    calibration: { kind: 'made', document },
    trafficLog: null,
    shadow: false,
    ...changes,
  })
  const record: RouteRecord = { route: RouteName.parse(model), name: model, created: 1, policy }
  await stage.operator.put('routes', model, encode(record))
  await until(() => stage.router.route(model) !== undefined)
  return model
}

async function asked(model: string, more: object = {}) {
  const response = await stage.chat(
    { model, messages: [{ role: 'user', content: 'say it, please' }], max_tokens: 2, ...more },
    { headers: { 'x-paceline-explain': 'true' } },
  )
  const body = (await response.json()) as { choices?: { message: { content: string }; logprobs: unknown }[] }
  const header = (which: string) => response.headers.get(`x-paceline-${which}`)
  const [choice] = body.choices ?? []
  return {
    status: response.status,
    text: choice?.message.content.trim(),
    logprobs: choice?.logprobs,
    deployment: header('deployment'),
    cause: header('cause'),
    risk: header('risk'),
    steps: header('steps'),
  }
}
const chats = () => stage.firstWorker.received.filter(({ work }) => work.kind === 'chat')

beforeAll(async () => {
  stage = await serveStage({
    record: named('smol'),
    worker: { text: () => 'small ', logprobs: sure },
    traffic: { keep: (example) => kept.push(example) },
  })
  await stage.publish(named('large'))
  large = stage.worker({ name: 'w-large', deployment: 'large', stepMs: 2, text: () => 'large ' })
  await until(() => stage.router.model('large')?.ready === true)
})
beforeEach(() => {
  sureness = { first: -0.1, second: -0.1 }
  large.received.length = 0
  stage.firstWorker.received.length = 0
  kept.length = 0
})
afterAll(async () => {
  large.stop()
  await stage.close()
})

describe('a risk route', () => {
  test('gives an answer of little risk, and asks nobody else', async () => {
    const answer = await asked(await route())
    expect(answer).toMatchObject({ status: 200, text: 'small small', deployment: 'smol', cause: 'sure' })
    expect(Number(answer.risk)).toBeCloseTo(1 / (1 + Math.exp(3.6)), 4)
    expect(large.received).toHaveLength(0)
  })

  test('tells the client nothing of log-probabilities that only the route wanted', async () => {
    const model = await route()
    expect((await asked(model)).logprobs).toBeNull()
    expect((await asked(model, { logprobs: true })).logprobs).toMatchObject({ content: [{ logprob: -0.1 }, {}] })
  })

  test('asks again where it doubts, and gives the second answer where that is better', async () => {
    sureness = { first: -0.8, second: -0.1 }
    const answer = await asked(await route())
    expect(answer).toMatchObject({ deployment: 'smol', cause: 'better' })
    expect(answer.steps).toMatch(/^smol:reprompt:doubtful:score=0\.3\d+:.*, smol:keep:better:score=0\.02/)
    const [, second] = chats()
    expect(second?.work).toMatchObject({
      messages: [{ role: 'user' }, { role: 'assistant', content: 'small small ' }, { role: 'user' }],
    })
    expect(JSON.stringify(second?.work)).not.toContain('Checks of your answer')
  })

  test('with self-supervision says what speaks against the answer, and nothing of what does not', async () => {
    sureness = { first: -0.8, second: -2 }
    const answer = await asked(await route({ reprompt: 'selfSupervision' }))
    const said = JSON.stringify(chats()[1]?.work)
    expect(said).toContain('the check \\"sure\\" of how sure you were, which says that the answer is wrong')
    expect(said).toContain('the check \\"short\\"')
    expect(said).not.toContain('polite')
    // And what is still risky then is not given.
    expect(answer).toMatchObject({ deployment: 'large', cause: 'risky', text: 'large large' })
  })

  test('asks the other deployment where the risk is high, without a second try', async () => {
    sureness = { first: -2, second: -0.1 }
    expect(await asked(await route())).toMatchObject({ deployment: 'large', cause: 'risky', text: 'large large' })
    expect(chats()).toHaveLength(1)
  })

  test('streams like anybody else, whoever answers', async () => {
    for (const [first, word] of [
      [-0.1, 'small'],
      [-2, 'large'],
    ] as const) {
      sureness = { first, second: first }
      const model = await route()
      const body = { model, messages: [{ role: 'user', content: 'x' }], max_tokens: 2, stream: true }
      const response = await stage.post('/v1/chat/completions', body, { headers: { 'x-paceline-risk': 'true' } })
      const text = await response.text()
      expect(text.match(new RegExp(word, 'g'))).toHaveLength(2)
      expect(text.trimEnd()).toMatch(/\[DONE\]$/)
      expect(Number(response.headers.get('x-paceline-risk'))).toBeGreaterThan(0)
      expect(response.headers.get('x-paceline-deployment')).toBeNull()
    }
  })

  test('counts scores, decisions and votes', async () => {
    const model = await route()
    await asked(model)
    const read = (metric: string, labels = '') =>
      metricValue(stage, `paceline_risk_${metric}{route="${model}"${labels}}`)
    expect(await read('score_count')).toBe(1)
    expect(await read('decisions_total', ',action="answer",cause="sure"')).toBe(1)
    expect(await read('votes_total', ',source="sure",vote="agrees"')).toBe(1)
    expect(await read('votes_total', ',source="short",vote="disagrees"')).toBe(1)
  })

  test('answers several at once with the other deployment: nobody judges those', async () => {
    expect(await asked(await route(), { n: 2 })).toMatchObject({ deployment: 'large', cause: 'several' })
  })
})

describe('without a calibration that fits', () => {
  const other = 'ab'.repeat(32)
  test.each([
    ['none', { kind: 'none', reason: 'no-calibration' }],
    ['one of another model', { kind: 'made', document: { ...document, model: other } }],
    ['one of another embedding', { kind: 'made', document: { ...document, embedding: { model: other, width: 2 } } }],
  ] as const)('%s: the other deployment answers, and the first is not even asked', async (_what, calibration) => {
    const model = await route({ calibration: { ...calibration } })
    expect(await asked(model)).toMatchObject({ deployment: 'large', cause: 'uncalibrated', risk: null })
    expect(stage.firstWorker.received).toHaveLength(0)
  })

  test('an embedding of another width gives no score, and the other deployment answers', async () => {
    const wide = {
      ...document,
      embedding: { model: 'simulated', width: 3 },
      parameters: packedNumbers(new Float64Array(10)),
    }
    const model = await route({ calibration: { kind: 'made', document: wide } })
    expect(await asked(model)).toMatchObject({ deployment: 'large', cause: 'unscored', risk: null })
  })

  test('what is kept to calibrate with is asked aside', async () => {
    const trafficLog = { share: 1, texts: true, redact: [{ pattern: 'say', with: '[verb]' }] }
    const model = await route({ calibration: { kind: 'none', reason: 'no-calibration' }, trafficLog })
    expect(await asked(model)).toMatchObject({ deployment: 'large', cause: 'uncalibrated' })
    await until(() => kept.length === 1)
    expect(kept[0]).toMatchObject({
      route: model,
      model: 'simulated',
      embeddingModel: 'simulated',
      labels: ['right', 'wrong'],
      ownLabel: 0,
      votes: { sure: 0, short: 1, polite: 0 },
      signals: { meanLogProbability: -0.1 },
      risk: null,
      cause: 'uncalibrated',
      isGiven: false,
      question: '[verb] it, please',
      answer: 'small small ',
    })
  })
})

describe('what is kept', () => {
  test('has no texts where the route does not ask for them', async () => {
    await asked(await route({ trafficLog: { share: 1, texts: false, redact: [] } }))
    expect(kept).toHaveLength(1)
    expect(kept[0]).not.toHaveProperty('question')
    expect(kept[0]).toMatchObject({ cause: 'sure', embedding: packedNumbers([1, 0.5]) })
  })

  test('says whether the client got that answer: not where it was asked again, passed on or looked at aside', async () => {
    const trafficLog = { share: 1, texts: false, redact: [] }
    for (const [first, shadow] of [
      [-0.1, false],
      [-0.8, false],
      [-2, false],
      [-0.1, true],
    ] as const) {
      sureness = { first, second: -0.1 }
      await asked(await route({ trafficLog, shadow }))
    }
    await until(() => kept.length === 4)
    expect(kept.map(({ cause, isGiven }) => `${cause} ${isGiven}`)).toEqual([
      'sure true',
      'doubtful false',
      'risky false',
      'sure false',
    ])
  })

  test('is nothing where the route says nothing', async () => {
    await asked(await route())
    expect(kept).toHaveLength(0)
  })
})

test('in shadow the other deployment answers, and what would have been done is counted', async () => {
  const model = await route({ shadow: true })
  expect(await asked(model)).toMatchObject({ deployment: 'large', text: 'large large' })
  const line = `paceline_risk_decisions_total{route="${model}",action="answer",cause="sure"}`
  const count = () => metricValue(stage, line)
  await until(async () => (await count()) === 1)
})

test('explain says who is asked first, or that nothing is calibrated', async () => {
  const explained = async (model: string) =>
    (await stage.post('/v1/route:explain', { model })).json() as Promise<Record<string, unknown>>
  expect(await explained(await route())).toMatchObject({ strategy: 'risk', deployment: 'smol', cause: 'unjudged' })
  expect(await explained(await route({ shadow: true }))).toMatchObject({ deployment: 'large', cause: 'shadow' })
  const none = await route({ calibration: { kind: 'none', reason: 'no-calibration' } })
  expect(await explained(none)).toMatchObject({ deployment: 'large', cause: 'uncalibrated' })
})

test('a client that leaves takes everything with it', async () => {
  const leaving = new AbortController()
  const model = await route()
  const under = stage.chat({ model, messages: [{ role: 'user', content: 'x' }], max_tokens: 1_000 }, leaving)
  await until(() => chats().length === 1)
  leaving.abort()
  await expect(under).rejects.toThrow()
  await until(() => stage.router.active === 0)
  expect(large.received).toHaveLength(0)
})

test('an embedding that never comes is none: the other deployment answers within the client’s time', async () => {
  await stage.publish(named('embeds'))
  const embeds = stage.worker({ name: 'w-embeds', deployment: 'embeds', stepMs: 3_600_000 })
  try {
    await until(() => stage.router.model('embeds')?.ready === true)
    const model = await route({ embedding: name('embeds') })
    const body = { model, messages: [{ role: 'user', content: 'x' }], max_tokens: 2 }
    const headers = { 'x-paceline-deadline-ms': '1500', 'x-paceline-explain': 'true' }
    const response = await stage.chat(body, { headers })
    expect([response.status, response.headers.get('x-paceline-cause')]).toEqual([200, 'unscored'])
  } finally {
    embeds.stop()
  }
})
