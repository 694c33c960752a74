import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CascadePolicy } from '#contracts/records.ts'
import {
  type CascadeStage,
  explaining,
  guarantee,
  messages,
  name,
  named,
  policyOf,
  references,
  serveCascade,
} from './testing/cascadeStage.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { until } from './testing/server.ts'
import { metricValue } from './testing/stage.ts'

let stage: CascadeStage

beforeAll(async () => {
  stage = await serveCascade()
})
beforeEach(() => stage.forget())
afterAll(() => stage.close())

describe('where the next step cannot answer', () => {
  const nobody = [policyOf().steps[0], { deployment: name('nobody'), accept: null }] as CascadePolicy['steps']
  test.each([
    ['answer', 200, 'small small small', 'no-worker'],
    ['wait', 429, undefined, 'no-worker'],
    ['refuse', 429, undefined, 'no-worker'],
  ] as const)('%s is done', async (whenFull, status, text, cause) => {
    const answer = await stage.asked(await stage.route({ whenFull, steps: nobody }), 'bad?')
    expect(answer).toMatchObject({ status, cause })
    if (text !== undefined) expect(answer.text).toBe(text)
  })

  test('a good answer is kept all the same', async () => {
    expect(await stage.asked(await stage.route({ steps: nobody }), 'good?')).toMatchObject({
      status: 200,
      cause: 'reliable',
    })
  })

  test('too late counts from what was promised: the client’s own deadline is above all', async () => {
    const model = await stage.route({ whenFull: 'answer' })
    const slow = modelRecord({ deployment: name('large'), servedNames: ['large'], slo: { ttftMs: 0.01, tpotMs: 100 } })
    const hurried = modelRecord({ slo: { ttftMs: 0.01, tpotMs: 0.01 } })
    const strict = modelRecord({ deployment: name('judge'), servedNames: ['judge'], slo: { ttftMs: 0.01, tpotMs: 1 } })
    await Promise.all([slow, hurried, strict].map((record) => stage.publish(record)))
    await until(() => stage.router.model('judge')?.record.slo.ttftMs === 0.01)
    try {
      expect(await stage.asked(model, 'bad?')).toMatchObject({ text: 'small small small', cause: 'too-late' })
    } finally {
      await Promise.all([named('large'), modelRecord(), named('judge')].map((record) => stage.publish(record)))
      await until(() => stage.router.model('judge')?.record.slo.ttftMs === 1_000)
    }
  })

  test('over the budget nobody is asked any more, and what each request adds lets one through again', async () => {
    const model = await stage.route({ escalationRateMax: 0.5, whenFull: 'answer' })
    const causes: (string | null)[] = []
    for (let i = 0; i < 25; i += 1) causes.push((await stage.asked(model, 'bad?')).cause)
    const escalated = causes.filter((cause) => cause === 'last-step').length
    expect(escalated).toBeGreaterThanOrEqual(10)
    expect(escalated).toBeLessThanOrEqual(10 + 0.5 * 25)
    expect(causes).toContain('over-budget')
  })
})

describe('a cascade that streams early', () => {
  const early = { streaming: { mode: 'early', tokens: 4 } } as const
  const streamed = async (model: string, question: string) =>
    (
      await stage.chat({ model, messages: messages(question), max_tokens: 40, stream: true }, { headers: explaining })
    ).text()

  test('judges the first tokens, and goes on with the same answer', async () => {
    const text = await streamed(await stage.route(early), 'good?')
    expect(text.match(/small/g)).toHaveLength(40)
    const [prompt] = stage.judge.received.map(({ work }) => (work.kind === 'completion' ? String(work.prompt) : ''))
    expect(prompt?.match(/small/g)?.length).toBeLessThan(40)
  })

  test('or ends it and switches, before anything was sent', async () => {
    const text = await streamed(await stage.route(early), 'bad?')
    expect(text).not.toContain('small')
    expect(text.match(/large/g)).toHaveLength(40)
    await until(() => stage.firstWorker.busy === 0)
  })
})

describe('a cascade in shadow mode', () => {
  test('answers with its last step, and tells what it would have done', async () => {
    const model = await stage.route({ shadow: true })
    const answer = await stage.asked(model, 'good?')
    expect(answer).toMatchObject({ text: 'large large large', deployment: 'large', cause: 'shadow' })
    const would = `paceline_cascade_steps_total{route="${model}",deployment="smol",action="keep",cause="reliable",guaranteed="true",mode="shadow"}`
    await until(async () => (await metricValue(stage, would)) === 1)
    expect(stage.large.received).toHaveLength(1)
  })

  test('scores even where nothing is proved yet', async () => {
    const model = await stage.route({ shadow: true }, { guarantee: { kind: 'none', reason: 'no-calibration' } })
    await stage.asked(model, 'good?')
    const scores = `paceline_cascade_score_count{route="${model}",deployment="smol"}`
    await until(async () => (await metricValue(stage, scores)) === 1)
  })
})

describe('more than one', () => {
  const accept = { judge: name('judge'), references, prior: null, guarantee }
  const three: CascadePolicy['steps'] = [
    { deployment: name('smol'), accept },
    { deployment: name('large'), accept },
    { deployment: name('judge'), accept: null },
  ]

  test('step goes on: each is judged, and each brings its words to the next', async () => {
    const answer = await stage.asked(await stage.route({ steps: three }), 'bad?')
    expect(answer).toMatchObject({ status: 200, deployment: 'judge', cause: 'last-step' })
    expect(answer.steps).toMatch(/^smol:escalate:unreliable:.*, large:escalate:unreliable:.*, judge:keep:last-step$/)
    expect(stage.large.received.map(({ hint }) => hint)).toEqual(['small small small '])
    expect(stage.judge.received.at(-1)?.hint).toBe('large large large ')
  })

  test('request at a time needs no burst: each brings its own share', async () => {
    const model = await stage.route({ escalationRateMax: 1 })
    const answers = await Promise.all(Array.from({ length: 30 }, () => stage.asked(model, 'bad?')))
    expect(new Set(answers.map(({ cause }) => cause))).toEqual(new Set(['last-step']))
  })

  test('step is one escalation for the budget: requests are counted, however far they go', async () => {
    const model = await stage.route({ steps: three, escalationRateMax: 1 })
    const causes: (string | null)[] = []
    for (let i = 0; i < 15; i += 1) causes.push((await stage.asked(model, 'bad?')).cause)
    expect(new Set(causes)).toEqual(new Set(['last-step']))
  })

  test('choice is kept where the least of them is good enough, and guaranteed is only what was labelled: single ones', async () => {
    const answer = await stage.asked(await stage.route(), 'good?', { n: 2 })
    expect(answer).toMatchObject({ text: 'small small small|small small small', cause: 'reliable' })
    expect(answer.steps).not.toContain('guaranteed')
    expect(stage.judge.received).toHaveLength(2 * 2 * references.length)
  })

  test('prompt brings the words of each to its own', async () => {
    const model = await stage.route()
    const response = await stage.post('/v1/completions', { model, prompt: ['bad one', 'bad two'], max_tokens: 2 })
    expect(await response.json()).toMatchObject({ choices: [{ text: 'large large ' }, { text: 'large large ' }] })
    expect(stage.large.received.map(({ hint }) => hint)).toEqual(['small small ', 'small small '])
  })

  test('token ids cannot be shown to a judge, and go on', async () => {
    const model = await stage.route()
    const completion = { model, prompt: [1, 2, 3], max_tokens: 2 }
    const response = await stage.post('/v1/completions', completion, { headers: explaining })
    expect(response.headers.get('x-paceline-steps')).toMatch(/^smol:escalate:unjudged:threshold=0, large/)
  })
})

describe('a request that does not fit', () => {
  test('the first step goes to the next, and one that fits none is refused for what it is', async () => {
    await stage.publish(modelRecord({ contextTokensMax: 64 }))
    await until(() => stage.router.model('smol')?.record.contextTokensMax === 64)
    try {
      const model = await stage.route()
      const answer = await stage.asked(model, 'good?', { max_tokens: 100 })
      expect(answer).toMatchObject({ status: 200, deployment: 'large' })
      expect(answer.steps).toMatch(/^smol:escalate:unfit:threshold=0, large/)
      expect(await stage.asked(model, 'good?', { max_tokens: 100_000 })).toMatchObject({ status: 400 })
    } finally {
      await stage.publish(modelRecord())
      await until(() => stage.router.model('smol')?.record.contextTokensMax === 2_048)
    }
  })
})

describe('a proof', () => {
  test('is one of the files it was made with: while a rollout serves another, nothing is kept', async () => {
    const model = await stage.route({}, { guarantee: { ...guarantee, models: { step: 'a'.repeat(64) } } })
    await stage.publish(modelRecord({ model: 'b'.repeat(64) }))
    await until(() => stage.router.model('smol')?.record.model === 'b'.repeat(64))
    expect(await stage.asked(model, 'good?')).toMatchObject({ deployment: 'large' })
    await stage.publish(modelRecord({ model: 'a'.repeat(64) }))
    await until(() => stage.router.model('smol')?.record.model === 'a'.repeat(64))
    expect(await stage.asked(model, 'good?')).toMatchObject({ deployment: 'smol', cause: 'reliable' })
    await stage.publish(modelRecord())
    await until(() => stage.router.model('smol')?.record.model === undefined)
  })
})
