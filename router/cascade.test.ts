import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { Dispatch, TokenLogprob } from '#contracts/messages.ts'
import type { CascadePolicy, RouteRecord } from '#contracts/records.ts'
import { Failure } from '#contracts/failure.ts'
import { encode } from '#runtime/messages.ts'
import { type FakeWorker, modelRecord } from './testing/fakeWorker.ts'
import { type ServedStage, serveStage, until } from './testing/server.ts'
import { metricValue } from './testing/stage.ts'

const name = (text: string) => DeploymentName.parse(text)
const named = (deployment: string) => modelRecord({ deployment: name(deployment), servedNames: [deployment] })
const references = [
  { question: '1+1?', answer: '2', correct: true },
  { question: '1+2?', answer: '5', correct: false },
]

/** A judge that believes answers to questions with `good` in them, and no others. */
function labels({ work }: Dispatch): TokenLogprob {
  const prompt = work.kind === 'completion' ? String(work.prompt) : ''
  const isFirst = !prompt.startsWith(referenceFirst, prompt.indexOf('Question: '))
  const isGood = prompt.includes('good')
  const better = isFirst === isGood ? 'A' : 'B'
  const top = ['A', 'B', 'C'].map((token) => ({ token, bytes: [], logprob: Math.log(token === better ? 0.8 : 0.1) }))
  return { token: better, bytes: [], logprob: Math.log(0.8), top }
}
const referenceFirst = 'Question: 1+'

let stage: ServedStage
let large: FakeWorker
let judge: FakeWorker

const guarantee = {
  kind: 'holds' as const,
  calibration: 'c'.repeat(64),
  threshold: 0,
  errorRateMax: 0.1,
  confidence: 0.9,
  models: {},
}
function policyOf(changes: Partial<CascadePolicy> = {}, accept: object = {}): CascadePolicy {
  return {
    kind: 'cascade',
    steps: [
      { deployment: name('smol'), accept: { judge: name('judge'), references, prior: null, guarantee, ...accept } },
      { deployment: name('large'), accept: null },
    ],
    escalationRateMax: 1,
    whenFull: 'wait',
    streaming: { mode: 'buffer', tokens: 4 },
    shadow: false,
    ...changes,
  }
}

let published = 0
/** A route of its own for each test: its name. */
async function route(changes: Partial<CascadePolicy> = {}, accept: object = {}): Promise<string> {
  published += 1
  const model = `cascade-${published}`
  const record: RouteRecord = {
    route: RouteName.parse(model),
    name: model,
    created: 1,
    policy: policyOf(changes, accept),
  }
  await stage.operator.put('routes', model, encode(record))
  await until(() => stage.router.route(model) !== undefined)
  return model
}

const messages = (content: string) => [{ role: 'user', content }]
const headers = { 'x-paceline-explain': 'true' }
async function asked(model: string, question: string, more: object = {}) {
  const response = await stage.chat({ model, messages: messages(question), max_tokens: 3, ...more }, { headers })
  const body = (await response.json()) as { choices?: { message: { content: string } }[]; error?: { code: string } }
  const header = (which: string) => response.headers.get(`x-paceline-${which}`)
  return {
    status: response.status,
    text: body.choices?.map(({ message }) => message.content.trim()).join('|') ?? body.error?.code,
    deployment: header('deployment'),
    cause: header('cause'),
    steps: header('steps'),
  }
}

beforeAll(async () => {
  stage = await serveStage({ worker: { text: () => 'small ' } })
  for (const deployment of ['large', 'judge']) await stage.publish(named(deployment))
  large = stage.worker({ name: 'w-large', deployment: 'large', stepMs: 2, text: () => 'large ' })
  judge = stage.worker({ name: 'w-judge', deployment: 'judge', stepMs: 2, slots: 8, logprobs: labels })
  await until(() => stage.router.model('large')?.ready === true && stage.router.model('judge')?.ready === true)
})
beforeEach(() => {
  large.received.length = 0
  judge.received.length = 0
  stage.firstWorker.received.length = 0
})
afterAll(async () => {
  large.stop()
  judge.stop()
  await stage.close()
})

describe('a cascade', () => {
  test('keeps the answer that its judge believes, and the next step hears nothing of it', async () => {
    const model = await route()
    const answer = await asked(model, 'good?')
    expect(answer).toMatchObject({ status: 200, text: 'small small small', deployment: 'smol', cause: 'reliable' })
    expect(large.received).toHaveLength(0)
  })

  test('asks the judge twice for each reference, one token each, all at once', async () => {
    const model = await route()
    await asked(model, 'good?')
    expect(judge.received).toHaveLength(2 * references.length)
    for (const { sampling } of judge.received) expect(sampling).toMatchObject({ maxTokens: 1, logprobs: 20 })
  })

  test('gives the next step’s answer where it does not, under the route’s name', async () => {
    const model = await route()
    const answer = await asked(model, 'bad?')
    expect(answer).toMatchObject({ text: 'large large large', deployment: 'large', cause: 'last-step' })
    expect(answer.steps).toMatch(/^smol:escalate:unreliable:score=-0\.\d+:threshold=0, large:keep:last-step$/)
  })

  test('streams like anybody else, whoever answers', async () => {
    const model = await route()
    for (const [question, word] of [
      ['good?', 'small'],
      ['bad?', 'large'],
    ] as const) {
      const response = await stage.chat({ model, messages: messages(question), max_tokens: 3, stream: true })
      const text = await response.text()
      expect(text.match(new RegExp(word, 'g'))).toHaveLength(3)
      expect(text).not.toContain(word === 'small' ? 'large' : 'small')
      expect(text.trimEnd()).toMatch(/\[DONE\]$/)
    }
  })

  test('takes text completions too, and refuses embeddings', async () => {
    const model = await route()
    const completion = await stage.post('/v1/completions', { model, prompt: 'bad?', max_tokens: 2 })
    expect(await completion.json()).toMatchObject({ model, choices: [{ text: 'large large ' }] })
    const embedding = await stage.post('/v1/embeddings', { model, input: 'x' })
    expect(embedding.status).toBe(400)
    expect(await embedding.json()).toMatchObject({ error: { code: 'unsupported_value', param: 'model' } })
  })

  test('counts a client’s request once, and each deployment’s part for that deployment', async () => {
    const model = await route()
    const requests = `paceline_route_requests_total{route="${model}",deployment="large",outcome="completed"}`
    const steps = `paceline_cascade_steps_total{route="${model}",deployment="smol",action="escalate",cause="unreliable",guaranteed="false",mode="live"}`
    await asked(model, 'bad?')
    expect([await metricValue(stage, requests), await metricValue(stage, steps)]).toEqual([1, 1])
    const scores = `paceline_cascade_score_count{route="${model}",deployment="smol"}`
    expect(await metricValue(stage, scores)).toBe(1)
  })

  test('whose body nobody can read is refused as everywhere', async () => {
    const model = await route()
    expect(await asked(model, 'good?', { temperature: 9 })).toMatchObject({ status: 400 })
    expect(stage.firstWorker.received).toHaveLength(0)
  })
})

describe('without a proof', () => {
  test('nothing is asked of the first step, whatever it would say', async () => {
    const model = await route({}, { guarantee: { kind: 'none', reason: 'broken' } })
    expect(await asked(model, 'good?')).toMatchObject({ text: 'large large large', cause: 'last-step' })
    expect(stage.firstWorker.received).toHaveLength(0)
  })

  test('a judge that fails is believed nothing', async () => {
    const model = await route()
    judge.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await asked(model, 'good?')
      expect(answer).toMatchObject({ text: 'large large large' })
      expect(answer.steps).toMatch(/^smol:escalate:unjudged/)
    } finally {
      judge.failWith = null
    }
  })
})

describe('what goes wrong', () => {
  test('a first step that fails is passed over', async () => {
    const model = await route()
    stage.firstWorker.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await asked(model, 'good?')
      expect(answer).toMatchObject({ status: 200, text: 'large large large' })
      expect(answer.steps).toMatch(/^smol:escalate:unanswered:threshold=0, large/)
    } finally {
      stage.firstWorker.failWith = null
    }
  })

  test('a last step that fails leaves the doubted answer where that is declared, and its failure elsewhere', async () => {
    large.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await asked(await route({ whenFull: 'answer' }), 'bad?')
      expect(answer).toMatchObject({ status: 200, text: 'small small small', cause: 'next-failed' })
      expect(await asked(await route({ whenFull: 'wait' }), 'bad?')).toMatchObject({ status: 500 })
    } finally {
      large.failWith = null
    }
  })

  test('a client that leaves takes everything with it', async () => {
    const model = await route()
    const gone = new AbortController()
    const answer = stage.chat({ model, messages: messages('good?'), max_tokens: 500 }, { signal: gone.signal })
    await until(() => stage.firstWorker.busy > 0)
    gone.abort()
    await expect(answer).rejects.toThrow()
    await until(() => stage.firstWorker.busy === 0 && stage.router.active === 0 && stage.router.attempts === 0)
    expect(judge.received).toHaveLength(0)
    expect(large.received).toHaveLength(0)
  })
})

describe('the answer that was doubted', () => {
  test('goes along as a hint for the next one, never as text', async () => {
    await asked(await route(), 'bad?')
    expect(large.received.map(({ hint }) => hint)).toEqual(['small small small '])
    expect(stage.firstWorker.received.map(({ hint }) => hint)).toEqual([undefined])
  })
})

describe('where the next step cannot answer', () => {
  const nobody = [policyOf().steps[0], { deployment: name('nobody'), accept: null }] as CascadePolicy['steps']
  test.each([
    ['answer', 200, 'small small small', 'no-worker'],
    ['wait', 429, undefined, 'no-worker'],
    ['refuse', 429, undefined, 'no-worker'],
  ] as const)('%s is done', async (whenFull, status, text, cause) => {
    const answer = await asked(await route({ whenFull, steps: nobody }), 'bad?')
    expect(answer).toMatchObject({ status, cause })
    if (text !== undefined) expect(answer.text).toBe(text)
  })

  test('a good answer is kept all the same', async () => {
    expect(await asked(await route({ steps: nobody }), 'good?')).toMatchObject({ status: 200, cause: 'reliable' })
  })

  test('too late counts from what was promised: the client’s own deadline is above all', async () => {
    const model = await route({ whenFull: 'answer' })
    const slow = modelRecord({ deployment: name('large'), servedNames: ['large'], slo: { ttftMs: 0.01, tpotMs: 100 } })
    const hurried = modelRecord({ slo: { ttftMs: 0.01, tpotMs: 0.01 } })
    const strict = modelRecord({ deployment: name('judge'), servedNames: ['judge'], slo: { ttftMs: 0.01, tpotMs: 1 } })
    await Promise.all([slow, hurried, strict].map((record) => stage.publish(record)))
    await until(() => stage.router.model('judge')?.record.slo.ttftMs === 0.01)
    try {
      expect(await asked(model, 'bad?')).toMatchObject({ text: 'small small small', cause: 'too-late' })
    } finally {
      await Promise.all([named('large'), modelRecord(), named('judge')].map((record) => stage.publish(record)))
      await until(() => stage.router.model('judge')?.record.slo.ttftMs === 1_000)
    }
  })

  test('over the budget nobody is asked any more, and what each request adds lets one through again', async () => {
    const model = await route({ escalationRateMax: 0.5, whenFull: 'answer' })
    const causes: (string | null)[] = []
    for (let i = 0; i < 25; i += 1) causes.push((await asked(model, 'bad?')).cause)
    const escalated = causes.filter((cause) => cause === 'last-step').length
    expect(escalated).toBeGreaterThanOrEqual(10)
    expect(escalated).toBeLessThanOrEqual(10 + 0.5 * 25)
    expect(causes).toContain('over-budget')
  })
})

describe('a cascade that streams early', () => {
  const early = { streaming: { mode: 'early', tokens: 4 } } as const
  const streamed = async (model: string, question: string) =>
    (await stage.chat({ model, messages: messages(question), max_tokens: 40, stream: true }, { headers })).text()

  test('judges the first tokens, and goes on with the same answer', async () => {
    const text = await streamed(await route(early), 'good?')
    expect(text.match(/small/g)).toHaveLength(40)
    const [prompt] = judge.received.map(({ work }) => (work.kind === 'completion' ? String(work.prompt) : ''))
    expect(prompt?.match(/small/g)?.length).toBeLessThan(40)
  })

  test('or ends it and switches, before anything was sent', async () => {
    const text = await streamed(await route(early), 'bad?')
    expect(text).not.toContain('small')
    expect(text.match(/large/g)).toHaveLength(40)
    await until(() => stage.firstWorker.busy === 0)
  })
})

describe('a cascade in shadow mode', () => {
  test('answers with its last step, and tells what it would have done', async () => {
    const model = await route({ shadow: true })
    const answer = await asked(model, 'good?')
    expect(answer).toMatchObject({ text: 'large large large', deployment: 'large', cause: 'shadow' })
    const would = `paceline_cascade_steps_total{route="${model}",deployment="smol",action="keep",cause="reliable",guaranteed="true",mode="shadow"}`
    await until(async () => (await metricValue(stage, would)) === 1)
    expect(large.received).toHaveLength(1)
  })

  test('scores even where nothing is proved yet', async () => {
    const model = await route({ shadow: true }, { guarantee: { kind: 'none', reason: 'no-calibration' } })
    await asked(model, 'good?')
    const scores = `paceline_cascade_score_count{route="${model}",deployment="smol"}`
    await until(async () => (await metricValue(stage, scores)) === 1)
  })
})

describe('explain', () => {
  test('says who would be asked first, what is proved, and how everybody stands', async () => {
    const explained = async (model: string) => (await stage.post('/v1/route:explain', { model })).json()
    expect(await explained(await route())).toMatchObject({
      strategy: 'cascade',
      deployment: 'smol',
      plan: {
        steps: [
          { deployment: 'smol', standing: 'ready', threshold: 0, judge: { deployment: 'judge', prompts: 4 } },
          { deployment: 'large', standing: 'ready' },
        ],
        escalation: { rate_max: 1, credit: 10 },
        when_full: 'wait',
      },
    })
    const unproved = await route({}, { guarantee: { kind: 'none', reason: 'stale' } })
    expect(await explained(unproved)).toMatchObject({ deployment: 'large', cause: 'uncalibrated' })
    expect(stage.firstWorker.received).toHaveLength(0)
  })
})
