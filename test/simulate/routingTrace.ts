/**
 * Traffic of which part shares prefixes: sessions over a document each (a long prompt that several requests of a session begin with,
 * each with a question of its own) between requests that share nothing. New sessions keep coming, so no cache ever holds them all.
 *
 * Prompts of both kinds are as long, so that what is saved is what is shared. Made of the simulated engine's own words: a token each.
 */
import type { Work } from '#contracts/messages.ts'
import type { Random } from './random.ts'

export interface TraceOptions {
  readonly seconds: number
  readonly perSecond: number
  /** Share of the requests that belong to a session. */
  readonly sharedShare: number
  readonly documentTokens: number
  readonly questionTokens: number
  readonly answerTokens: number
  /** Requests of a session, at the mean, and the time between two of them. */
  readonly sessionRequests: number
  readonly sessionGapMs: number
}

export interface TraceRequest {
  readonly atMs: number
  readonly work: Work
  readonly answerTokens: number
  /** null: it shares nothing. */
  readonly session: number | null
}

/**
 * 60 % of all prompt tokens stand in a prefix that an earlier request had: four of five requests belong to sessions of eight, in which all
 * but the first could leave out the document, six sevenths of the prompt.
 */
export const sixtyPercentOfTokens: Omit<TraceOptions, 'seconds' | 'perSecond'> = {
  sharedShare: 0.8,
  documentTokens: 720,
  questionTokens: 120,
  answerTokens: 24,
  sessionRequests: 8,
  sessionGapMs: 2_000,
}

/** 60 % of the requests share a prefix, and the others have prompts as long: at best 45 % of the tokens can be left out. */
export const sixtyPercentOfRequests = { ...sixtyPercentOfTokens, sharedShare: 0.6 }

/** In the order of arrival. The same seed gives the same texts and lengths at every rate, only closer together. */
export function routingTrace(random: Random, options: TraceOptions): TraceRequest[] {
  const { seconds, perSecond, sharedShare, sessionRequests, sessionGapMs } = options
  const lastMs = seconds * 1_000
  const requests: TraceRequest[] = []
  let session = 0
  const startsPerSecond = perSecond * (1 - sharedShare + sharedShare / sessionRequests)
  const aloneShare = (perSecond * (1 - sharedShare)) / startsPerSecond
  // Sessions that began before the trace are in the middle of it when it begins.
  const warmMs = 2 * sessionRequests * sessionGapMs
  for (let atMs = -warmMs; ; ) {
    atMs += random.exponential(1_000 / startsPerSecond)
    if (atMs >= lastMs) break
    if (random.chance(aloneShare))
      requests.push({ ...asked(random, options, words(random, options.documentTokens)), atMs, session: null })
    else {
      session += 1
      requests.push(...sessionOf(random, options, { atMs, session }))
    }
  }
  return requests.filter(({ atMs }) => atMs >= 0 && atMs < lastMs).sort((a, b) => a.atMs - b.atMs)

  function sessionOf(from: Random, given: TraceOptions, start: { atMs: number; session: number }): TraceRequest[] {
    const document = words(from, given.documentTokens)
    const found: TraceRequest[] = []
    let { atMs } = start
    do {
      found.push({ ...asked(from, given, document), atMs, session: start.session })
      atMs += from.exponential(sessionGapMs)
    } while (from.chance(1 - 1 / sessionRequests))
    return found
  }
}

function asked(random: Random, { questionTokens, answerTokens }: TraceOptions, document: string) {
  const content = words(random, random.int(Math.ceil(questionTokens / 2), Math.ceil(1.5 * questionTokens)))
  const messages = [
    { role: 'system', content: document },
    { role: 'user', content },
  ]
  const work: Work = { kind: 'chat', messages }
  return { work, answerTokens: random.int(Math.ceil(answerTokens / 2), Math.ceil(1.5 * answerTokens)) }
}

const vocabulary =
  'the of and to in is that it was for on are as with his they at be this have from or one had by word'.split(' ')

const words = (random: Random, count: number): string =>
  Array.from({ length: count }, () => ` ${random.pick(vocabulary)}`).join('')
