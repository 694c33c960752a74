import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { type CascadeStage, messages, references, serveCascade } from './testing/cascadeStage.ts'
import { until } from './testing/server.ts'
import { metricValue } from './testing/stage.ts'

let stage: CascadeStage

beforeAll(async () => {
  stage = await serveCascade()
})
beforeEach(() => stage.forget())
afterAll(() => stage.close())

describe('a cascade', () => {
  test('keeps the answer that its judge believes, and the next step hears nothing of it', async () => {
    const model = await stage.route()
    const answer = await stage.asked(model, 'good?')
    expect(answer).toMatchObject({ status: 200, text: 'small small small', deployment: 'smol', cause: 'reliable' })
    expect(stage.large.received).toHaveLength(0)
  })

  test('asks the judge twice for each reference, one token each, all at once', async () => {
    const model = await stage.route()
    await stage.asked(model, 'good?')
    expect(stage.judge.received).toHaveLength(2 * references.length)
    for (const { sampling } of stage.judge.received) expect(sampling).toMatchObject({ maxTokens: 1, logprobs: 20 })
  })

  test('gives the next step’s answer where it does not, under the route’s name', async () => {
    const model = await stage.route()
    const answer = await stage.asked(model, 'bad?')
    expect(answer).toMatchObject({ text: 'large large large', deployment: 'large', cause: 'last-step' })
    expect(answer.steps).toMatch(/^smol:escalate:unreliable:score=-0\.\d+:threshold=0, large:keep:last-step$/)
  })

  test('streams like anybody else, whoever answers', async () => {
    const model = await stage.route()
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
    const model = await stage.route()
    const completion = await stage.post('/v1/completions', { model, prompt: 'bad?', max_tokens: 2 })
    expect(await completion.json()).toMatchObject({ model, choices: [{ text: 'large large ' }] })
    const embedding = await stage.post('/v1/embeddings', { model, input: 'x' })
    expect(embedding.status).toBe(400)
    expect(await embedding.json()).toMatchObject({ error: { code: 'unsupported_value', param: 'model' } })
  })

  test('counts a client’s request once, and each deployment’s part for that deployment', async () => {
    const model = await stage.route()
    const requests = `paceline_route_requests_total{route="${model}",deployment="large",outcome="completed"}`
    const steps = `paceline_cascade_steps_total{route="${model}",deployment="smol",action="escalate",cause="unreliable",guaranteed="false",mode="live"}`
    await stage.asked(model, 'bad?')
    expect([await metricValue(stage, requests), await metricValue(stage, steps)]).toEqual([1, 1])
    const waited = `paceline_route_first_text_seconds_count{route="${model}",deployment="large"}`
    expect(await metricValue(stage, waited)).toBe(1)
    const scores = `paceline_cascade_score_count{route="${model}",deployment="smol"}`
    expect(await metricValue(stage, scores)).toBe(1)
  })

  test('whose body nobody can read is refused as everywhere', async () => {
    const model = await stage.route()
    expect(await stage.asked(model, 'good?', { temperature: 9 })).toMatchObject({ status: 400 })
    expect(stage.firstWorker.received).toHaveLength(0)
  })
})

describe('without a proof', () => {
  test('nothing is asked of the first step, whatever it would say', async () => {
    const model = await stage.route({}, { guarantee: { kind: 'none', reason: 'broken' } })
    expect(await stage.asked(model, 'good?')).toMatchObject({ text: 'large large large', cause: 'last-step' })
    expect(stage.firstWorker.received).toHaveLength(0)
  })

  test('a judge that fails is believed nothing', async () => {
    const model = await stage.route()
    stage.judge.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await stage.asked(model, 'good?')
      expect(answer).toMatchObject({ text: 'large large large' })
      expect(answer.steps).toMatch(/^smol:escalate:unjudged/)
    } finally {
      stage.judge.failWith = null
    }
  })
})

describe('what goes wrong', () => {
  test('a first step that fails is passed over', async () => {
    const model = await stage.route()
    stage.firstWorker.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await stage.asked(model, 'good?')
      expect(answer).toMatchObject({ status: 200, text: 'large large large' })
      expect(answer.steps).toMatch(/^smol:escalate:unanswered:threshold=0, large/)
    } finally {
      stage.firstWorker.failWith = null
    }
  })

  test('a last step that fails leaves the doubted answer where that is declared, and its failure elsewhere', async () => {
    stage.large.failWith = new Failure('engine-fault', 'broken')
    try {
      const answer = await stage.asked(await stage.route({ whenFull: 'answer' }), 'bad?')
      expect(answer).toMatchObject({ status: 200, text: 'small small small', cause: 'next-failed' })
      expect(await stage.asked(await stage.route({ whenFull: 'wait' }), 'bad?')).toMatchObject({ status: 500 })
    } finally {
      stage.large.failWith = null
    }
  })

  test('a client that leaves takes everything with it', async () => {
    const model = await stage.route()
    const gone = new AbortController()
    const answer = stage.chat({ model, messages: messages('good?'), max_tokens: 500 }, { signal: gone.signal })
    await until(() => stage.firstWorker.busy > 0)
    gone.abort()
    await expect(answer).rejects.toThrow()
    await until(() => stage.firstWorker.busy === 0 && stage.router.active === 0 && stage.router.attempts === 0)
    expect(stage.judge.received).toHaveLength(0)
    expect(stage.large.received).toHaveLength(0)
  })
})

describe('the answer that was doubted', () => {
  test('goes along as a hint for the next one, never as text', async () => {
    await stage.asked(await stage.route(), 'bad?')
    expect(stage.large.received.map(({ hint }) => hint)).toEqual(['small small small '])
    expect(stage.firstWorker.received.map(({ hint }) => hint)).toEqual([undefined])
  })
})

describe('explain', () => {
  test('says who would be asked first, what is proved, and how everybody stands', async () => {
    const explained = async (model: string) => (await stage.post('/v1/route:explain', { model })).json()
    expect(await explained(await stage.route())).toMatchObject({
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
    const unproved = await stage.route({}, { guarantee: { kind: 'none', reason: 'stale' } })
    expect(await explained(unproved)).toMatchObject({ deployment: 'large', cause: 'uncalibrated' })
    expect(stage.firstWorker.received).toHaveLength(0)
  })
})
