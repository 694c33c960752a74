/** A served router with a cascade's pairs: `smol`, `large` and a judge that believes answers to questions with `good` in them. */
import { DeploymentName, RouteName } from '#contracts/ids.ts'
import type { Dispatch, TokenLogprob } from '#contracts/messages.ts'
import type { CascadePolicy, RouteRecord } from '#contracts/records.ts'
import { encode } from '#runtime/messages.ts'
import { type FakeWorker, modelRecord } from './fakeWorker.ts'
import { type ServedStage, serveStage, until } from './server.ts'

export const name = (text: string) => DeploymentName.parse(text)
export const named = (deployment: string) => modelRecord({ deployment: name(deployment), servedNames: [deployment] })
export const references = [
  { question: '1+1?', answer: '2', correct: true },
  { question: '1+2?', answer: '5', correct: false },
]
export const guarantee = {
  kind: 'holds' as const,
  calibration: 'c'.repeat(64),
  threshold: 0,
  errorRateMax: 0.1,
  confidence: 0.9,
  models: {},
}
export const explaining = { 'x-paceline-explain': 'true' }
export const messages = (content: string) => [{ role: 'user', content }]

export interface CascadeStage extends ServedStage {
  readonly large: FakeWorker
  readonly judge: FakeWorker
  /** A route of its own for each test: its name. */
  route(changes?: Partial<CascadePolicy>, accept?: object): Promise<string>
  asked(model: string, question: string, more?: object): Promise<Asked>
  /** What the workers were sent is forgotten. */
  forget(): void
}

export interface Asked {
  readonly status: number
  /** Of the choices; the code of an error. */
  readonly text: string | undefined
  readonly deployment: string | null
  readonly cause: string | null
  readonly steps: string | null
}

export function policyOf(changes: Partial<CascadePolicy> = {}, accept: object = {}): CascadePolicy {
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

export async function serveCascade(): Promise<CascadeStage> {
  const stage = await serveStage({ worker: { text: () => 'small ' } })
  for (const deployment of ['large', 'judge']) await stage.publish(named(deployment))
  const large = stage.worker({ name: 'w-large', deployment: 'large', stepMs: 2, text: () => 'large ' })
  const judge = stage.worker({ name: 'w-judge', deployment: 'judge', stepMs: 2, slots: 8, logprobs: labels })
  await until(() => stage.router.model('large')?.ready === true && stage.router.model('judge')?.ready === true)
  const workers = [stage.firstWorker, large, judge]
  let published = 0
  return {
    ...stage,
    large,
    judge,
    async route(changes = {}, accept = {}) {
      published += 1
      const model = `cascade-${published}`
      const policy = policyOf(changes, accept)
      const record: RouteRecord = { route: RouteName.parse(model), name: model, created: 1, policy }
      await stage.operator.put('routes', model, encode(record))
      await until(() => stage.router.route(model) !== undefined)
      return model
    },
    asked: (model, question, more = {}) =>
      askedOf(stage, { model, messages: messages(question), max_tokens: 3, ...more }),
    forget() {
      for (const worker of workers) worker.received.length = 0
    },
    async close() {
      large.stop()
      judge.stop()
      await stage.close()
    },
  }
}

async function askedOf(stage: ServedStage, body: object): Promise<Asked> {
  const response = await stage.chat(body, { headers: explaining })
  const answer = (await response.json()) as { choices?: { message: { content: string } }[]; error?: { code: string } }
  const header = (which: string) => response.headers.get(`x-paceline-${which}`)
  return {
    status: response.status,
    text: answer.choices?.map(({ message }) => message.content.trim()).join('|') ?? answer.error?.code,
    deployment: header('deployment'),
    cause: header('cause'),
    steps: header('steps'),
  }
}

/** Believes answers to questions with `good` in them, and no others. */
function labels({ work }: Dispatch): TokenLogprob {
  const prompt = work.kind === 'completion' ? String(work.prompt) : ''
  const isFirst = !prompt.startsWith(referenceFirst, prompt.indexOf('Question: '))
  const better = isFirst === prompt.includes('good') ? 'A' : 'B'
  const top = ['A', 'B', 'C'].map((token) => ({ token, bytes: [], logprob: Math.log(token === better ? 0.8 : 0.1) }))
  return { token: better, bytes: [], logprob: Math.log(0.8), top }
}
const referenceFirst = 'Question: 1+'
