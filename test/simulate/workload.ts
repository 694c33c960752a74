/**
 * What simulated clients ask for and what they were told: an open-loop, seeded stream of requests against a small catalogue of
 * prompts, so that every answer can be compared with the one a lone, fault-free run gave.
 */
import { type DeploymentName, RequestId, TenantId } from '#contracts/ids.ts'
import type { ChoiceDelta, Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import type { RequestOutcome, ResponseSink, RoutedRequest } from '../../router/request.ts'
import type { Random } from './random.ts'

/** Everything that decides the text of an answer. */
export interface Shape {
  readonly name: string
  readonly work: Work
  readonly choices: number
  readonly sampling: Sampling
}

/** How one request of a run is made. */
export interface Ask {
  readonly shape: Shape
  readonly atMs: number
  readonly streaming: boolean
  readonly tenant: string
  readonly priority: number
  readonly deadlineMs: number
  /** The client leaves this long after it asked; null: it stays. */
  readonly leavesAfterMs: number | null
}

/** What the client saw. */
export interface Told {
  readonly id: RequestId
  readonly ask: Ask
  readonly askedAt: number
  /** The router process that had it. */
  readonly router: string
  readonly texts: string[]
  readonly finished: boolean[]
  readonly ends: { outcome: RequestOutcome | { kind: 'broken' }; at: number }[]
  readonly mistakes: string[]
}

const words = ['harbour', 'lamp', 'winter', 'paper', 'river', 'engine', 'moss', 'signal', 'orchard', 'copper']

/** The catalogue: small, because each entry costs one reference run. */
export function catalogue(random: Random): Shape[] {
  return Array.from({ length: 16 }, (_, i) => {
    const length = random.int(1, i % 5 === 0 ? 120 : 20)
    const prompt = Array.from({ length }, () => random.pick(words)).join(' ')
    const sampling: Sampling = {
      ...samplingDefaults,
      seed: random.int(0, 1_000_000),
      temperature: random.pick([0, 0.8, 1]),
      maxTokens: random.int(1, 40),
      ignoreEos: random.chance(0.5),
      stop: random.chance(0.2) ? [' and', '.'] : [],
      frequencyPenalty: random.pick([0, 0, 0.5]),
    }
    const isChat = random.chance(0.5)
    const work: Work = isChat
      ? { kind: 'chat', messages: [{ role: 'user', content: prompt }] }
      : { kind: 'completion', prompt, echo: false }
    return { name: `shape-${i}`, work, choices: random.pick([1, 1, 1, 2, 3]), sampling }
  })
}

export function asksOf(random: Random, shapes: readonly Shape[], options: { count: number; perSecond: number }): Ask[] {
  let atMs = 0
  return Array.from({ length: options.count }, () => {
    atMs += random.exponential(1_000 / options.perSecond)
    return {
      shape: random.pick(shapes),
      atMs,
      streaming: random.chance(0.6),
      tenant: random.pick(['alpha', 'beta', 'gamma']),
      priority: random.pick([0, 0, 0, 1, -1]),
      deadlineMs: random.pick([300, 2_000, 10_000, 10_000, 10_000]),
      leavesAfterMs: random.chance(0.2) ? random.exponential(300) : null,
    }
  })
}

export function routed(ask: Ask, at: { id: string; model: ModelRecord; now: number }): RoutedRequest {
  return {
    id: RequestId.parse(at.id),
    tenant: TenantId.parse(ask.tenant),
    weight: 1,
    priority: ask.priority,
    model: at.model,
    works: [ask.shape.work],
    choices: ask.shape.choices,
    sampling: ask.shape.sampling,
    streaming: ask.streaming,
    bytes: JSON.stringify(ask.shape.work).length,
    deadlineMs: ask.deadlineMs,
    arrivedAt: at.now,
  }
}

export function newTold(ask: Ask, at: { id: string; router: string; now: number }): Told {
  const { choices } = ask.shape
  return {
    id: RequestId.parse(at.id),
    ask,
    askedAt: at.now,
    router: at.router,
    texts: Array<string>(choices).fill(''),
    finished: Array<boolean>(choices).fill(false),
    ends: [],
    mistakes: [],
  }
}

/** Writes down what the router says, and every break of the sink's contract. */
export function sinkOf(told: Told, now: () => number): ResponseSink {
  const wrong = (what: string) => void told.mistakes.push(`${what} at ${now()}`)
  return {
    delta(firstChoice, choices) {
      if (told.ends.length > 0) wrong('delta after end')
      for (const choice of choices) addDelta(told, firstChoice + choice.index, choice, wrong)
    },
    restart(firstChoice, choices) {
      if (told.ask.streaming) wrong('restart of a streaming request')
      if (told.ends.length > 0) wrong('restart after end')
      for (let index = firstChoice; index < firstChoice + choices; index++) {
        told.texts[index] = ''
        told.finished[index] = false
      }
    },
    end(outcome) {
      told.ends.push({ outcome, at: now() })
    },
  }
}

function addDelta(told: Told, index: number, choice: ChoiceDelta, wrong: (what: string) => void): void {
  if (index >= told.texts.length) return wrong(`choice ${index} of ${told.texts.length}`)
  if (told.finished[index]) wrong(`delta of choice ${index} after its finish`)
  told.texts[index] = (told.texts[index] ?? '') + choice.text
  if (choice.finish !== undefined) told.finished[index] = true
}

/** What a shape answers: text as the client sees it, token ids as the worker says them (the router hides those without text). */
export interface Reference {
  readonly texts: readonly string[]
  readonly tokens: readonly (readonly number[])[]
}
export type References = ReadonlyMap<Shape, Reference>
export const deploymentName = 'sim' as DeploymentName
