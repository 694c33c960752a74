import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { judgeCascade } from '../../operator/core/calibrations.ts'
import { readResources } from '../../operator/local/resources.ts'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import type { Context } from '../context.ts'
import { calibrateCascade } from './cascade.ts'

/** Answers "right" to questions with an even number, and its judge believes about all of those and few of the others. */
interface Said {
  readonly model: string
  readonly messages?: readonly { content: string }[]
  readonly prompt?: readonly string[]
  readonly logprobs?: unknown
}

const served = 'ab'.repeat(32)
let digest: string | undefined
let server: Server
let folder: string
let lines: string[]
let busyAnswers = 0
let authorizations: Set<string | undefined>

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      authorizations.add(request.headers.authorization)
      if (busyAnswers > 0) {
        busyAnswers -= 1
        response.writeHead(429, { 'retry-after': '0' }).end('{}')
        return
      }
      response.setHeader('content-type', 'application/json')
      if (request.method === 'GET') {
        response.end(JSON.stringify({ data: [{ id: 'other' }, { id: 'smol', paceline: { model: digest } }] }))
        return
      }
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Said
      response.end(JSON.stringify(request.url === '/v1/completions' ? judgement(body) : chat(body)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => server.close())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'calibrate-'))
  lines = []
  digest = served
  authorizations = new Set()
})

function chat({ messages = [], logprobs }: Said) {
  const number = Number(messages[0]?.content.match(/\d+/)?.[0] ?? 0)
  const content = number % 2 === 0 ? `It is right, ${number}` : `It is wrong, ${number}`
  const tokens = content.split(/(?= )/).map((token) => ({ token }))
  return { choices: [{ message: { content }, logprobs: logprobs === true ? { content: tokens } : null }] }
}

/** Its reference is pair A in every other prompt; it knows better by the word in the answer. */
function judgement({ prompt = [] }: Said) {
  return {
    choices: prompt.map((text, index) => {
      const [, first = '', second = ''] = text.split('Answer: ')
      const worth = (answer: string) =>
        (answer.startsWith('It is right') ? 1 : 0) + Number(answer.match(/\d+/)?.[0] ?? 0) / 1e6
      const a = 1 / (1 + Math.exp(-3 * (worth(first) - worth(second))))
      const top = { ' A': Math.log(0.9 * a), ' B': Math.log(0.9 * (1 - a)), ' C': Math.log(0.1) }
      return { index, logprobs: { tokens: [' A'], token_logprobs: [top[' A']], top_logprobs: [top] } }
    }),
  }
}

const never = new AbortController().signal
const context = (environment: Record<string, string> = {}): Context => ({
  config: { root: '.', cacheDir: folder, searchPath: [], environment },
  clock: systemClock,
  random: () => 0,
  terminal: { line: (line) => lines.push(line), progress() {}, error() {} },
  interrupts: { first: never, second: never, outliveStarter() {} },
})

async function calibrate(traffic: readonly object[], more: readonly string[] = [], environment = {}) {
  const path = join(folder, 'traffic.jsonl')
  await writeFile(path, traffic.map((line) => JSON.stringify(line)).join('\n'))
  const out = join(folder, 'smol.yaml')
  const { port } = server.address() as AddressInfo
  const named = ['--traffic', path, '--step', 'smol', '--name', 'smol-calibration', '--out', out]
  await calibrateCascade([...named, '--url', `http://127.0.0.1:${port}/`, ...more], context(environment))
  return readFile(out, 'utf8')
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)
const expected = (count: number) => numbers(count).map((i) => ({ question: `number ${i}?`, expected: 'right' }))

function stepIn(yaml: string, accept: object = {}, streaming: object = {}, model = served) {
  const read = readResources([{ path: 'smol.yaml', text: yaml }])
  if (read.kind === 'broken') throw new Error(read.problems.join('\n'))
  const [map] = read.resources.configMaps
  const { cascade } = ModelRouteSpec.parse({
    name: 'assistant',
    cascade: {
      steps: [
        {
          deployment: 'smol',
          accept: { metaRanking: { references: { configMap: 'smol-calibration' }, errorRateMax: 0.1, ...accept } },
        },
        { deployment: 'large' },
      ],
      streaming,
    },
  })
  if (cascade === undefined) throw new Error('a cascade')
  const sources = {
    configMap: (name: string) => (name === map?.metadata.name ? map.data : null),
    servedBy: () => ({ model, embeddings: false }),
    labelsOf: () => null,
  }
  return judgeCascade(cascade, sources)[0]
}

test('from questions with expected answers to a ConfigMap that the operator takes as it is', async () => {
  const step = stepIn(await calibrate(expected(200)))
  expect(step).toMatchObject({ guarantee: { kind: 'holds', errorRateMax: 0.1, confidence: 0.9 }, problem: null })
  expect(step?.references).toHaveLength(6)
  expect(step?.references.filter(({ correct }) => correct)).toHaveLength(3)
  // What was looked at for references is no label.
  expect(step?.calibration?.labels.counted).toBeLessThanOrEqual(194)
  expect(lines[0]).toBe(
    `6 references cost ${200 - (step?.calibration?.labels.counted ?? 0)} of 200 labels: all that were looked at to find them`,
  )
  const kept = step?.calibration?.kept
  expect(kept?.wrong).toBeLessThanOrEqual(10)
  expect(kept?.share).toBeGreaterThan(0.45)
  expect(step?.prior?.answerFirst.a).toBeCloseTo(0.45, 6)
  expect(lines.at(-1)).toContain('references: {configMap: smol-calibration}')
})

test('another model makes it stale, without anybody having said which one it is', async () => {
  const yaml = await calibrate(expected(80))
  expect(stepIn(yaml)?.calibration?.madeFrom).toMatchObject({ stepModel: served, judgeModel: served })
  const stale = stepIn(yaml, {}, {}, 'cd'.repeat(32))
  expect(stale?.guarantee).toEqual({ kind: 'none', reason: 'stale' })
  expect(stale?.problem).toContain('smol has another model')
})

test('a router that does not name its models is asked only by those who know what they do without', async () => {
  digest = undefined
  await expect(calibrate(expected(30))).rejects.toThrow(/which file is behind smol; name .* --file, or say --unpinned/)
  expect(stepIn(await calibrate(expected(30), ['--unpinned']))?.calibration?.madeFrom.stepModel).toBeUndefined()
  expect(lines[0]).toContain('not bound to a model')
  digest = 'simulated'
  expect(stepIn(await calibrate(expected(30)))?.calibration?.madeFrom.stepModel).toBeUndefined()
})

test('a line that is there twice is one label', async () => {
  const once = await calibrate(expected(80))
  lines = []
  expect(await calibrate([...expected(80), ...expected(30)])).toBe(once)
  expect(lines[0]).toBe('30 of 110 lines say what another one says: they count once')
})

test('the same traffic and seed give the same file', async () => {
  expect(await calibrate(expected(80))).toBe(await calibrate(expected(80)))
})

test('answers that somebody has judged are taken as they are, with references of their own', async () => {
  const references = join(folder, 'references.jsonl')
  const pairs = [
    { question: 'a?', answer: 'It is right', correct: true },
    { question: 'b?', answer: 'It is wrong', correct: false },
  ]
  await writeFile(references, pairs.map((pair) => JSON.stringify(pair)).join('\n'))
  const traffic = numbers(60).map((i) => ({ question: `q${i}`, answer: `It is right ${i}`, correct: i !== 7 }))
  const step = stepIn(await calibrate(traffic, ['--references', references]))
  expect(step?.references).toEqual(pairs)
  expect(step?.calibration?.labels).toEqual({ counted: 60, wrong: 1 })
  // Nearly everything is right: everything that is judged is kept.
  expect(step?.guarantee).toMatchObject({ kind: 'holds', threshold: -2 })
})

test('what cannot be proved keeps nothing, and says how many labels it would take', async () => {
  const step = stepIn(await calibrate(expected(20)))
  expect(step?.guarantee).toEqual({ kind: 'none', reason: 'nothing-proved' })
  expect(lines.join('\n')).toContain('it takes 22 labels to prove 10.0 %')
  const wrongOnly = numbers(80).map((i) => ({
    question: `number ${2 * i + 1}?`,
    expected: i % 10 === 0 ? 'wrong' : 'right',
  }))
  stepIn(await calibrate(wrongOnly))
  expect(lines.join('\n')).toContain('no threshold is proved')
})

test('for a route that streams early the first tokens are judged, and the whole answer is labelled', async () => {
  const yaml = await calibrate(expected(120), ['--tokens', '4'])
  expect(stepIn(yaml)?.guarantee).toEqual({ kind: 'none', reason: 'stale' })
  expect(stepIn(yaml, {}, { mode: 'early', tokens: 4 })?.guarantee.kind).toBe('holds')
  const given = [{ question: 'q', answer: 'a', correct: true }]
  await expect(calibrate(given, ['--tokens', '4'])).rejects.toThrow(/every line needs expected and no answer/)
})

test('a router that is full is asked again, with the key that it wants', async () => {
  busyAnswers = 3
  await calibrate(expected(30), [], { PACELINE_API_KEY: 'sk-1' })
  expect([...authorizations]).toEqual(['Bearer sk-1'])
})

test('lines and flags that cannot be meant are named', async () => {
  const refused = (traffic: readonly object[], message: string | RegExp, more: readonly string[] = []) =>
    expect(calibrate(traffic, more)).rejects.toThrow(message)
  await refused([], 'name labelled traffic with --traffic')
  await refused([{ question: 'q', answer: 'a' }], /traffic\.jsonl:1: either correct or expected/)
  await refused([{ question: 'q', correct: true }], /:1: correct without the answer/)
  await refused([{ answer: 'a', correct: true }], /:1: question: is missing/)
  await refused([{ question: 'q', answer: 'a', correct: 1 }], /:1: correct: Invalid input: expected boolean/)
  await refused(expected(2), '--match must be one of', ['--match', 'nearly'])
  await refused(expected(2), '--error-rate-max must be a number', ['--error-rate-max', '0'])
  await refused(expected(2), '--reference-count must be a whole number', ['--reference-count', '99'])
  const allRight = numbers(40).map((i) => ({ question: `number ${2 * i}?`, expected: 'right' }))
  await refused(allRight, /none is wrong make no references; name some with --references/)
  await expect(calibrateCascade(['--name', 'x', '--out', 'y'], context())).rejects.toThrow(/--step/)
  await expect(calibrateCascade(['--step', 's', '--name', 'X', '--out', 'y'], context())).rejects.toThrow(/--name/)
})
