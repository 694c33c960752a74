/**
 * A made-up language model: logits as a pure function of (seed, last tokens). No time, no state.
 *
 * It writes sharp, sentence-like text of words, punctuation and now and then an emoji (four byte tokens), so that sampling,
 * stop strings and UTF-8 joining have something real to do. It ends by itself only after " the end.", so that lengths are set
 * by whoever asks.
 */
import { firstWord, tokens, vocabularySize, wordCount, wordToken } from './vocabulary.ts'

/** How many tokens back the model sees. Long enough that greedy text does not fall into a loop. */
export const windowLength = 6
/** Stands for "before the first token" in a window. */
export const noToken = -1

const candidateCount = 8
const candidateStep = 0.7
const forced = 24
const candidateBest = 6
const theToken = wordToken(' the')
const endToken = wordToken(' end')

export interface LanguageModel {
  /** Writes one row: what follows the window that starts at `offset` of `windows` (oldest token first). */
  fill(row: Float32Array, windows: Int32Array, offset: number): void
  /** The most likely token after the window. */
  best(windows: Int32Array, offset: number): number
}

export function createLanguageModel(seed: number): LanguageModel {
  const base = Float32Array.from({ length: vocabularySize }, (_, token) => backgroundLogit(seed, token))
  const scratch = new Float32Array(vocabularySize)
  const fill = (row: Float32Array, windows: Int32Array, offset: number) => {
    row.set(base)
    raiseCandidates(row, seed, windows, offset)
  }
  return {
    fill,
    best(windows, offset) {
      fill(scratch, windows, offset)
      return indexOfMax(scratch)
    },
  }
}

/** Bytes and control tokens stay far below words: they come only where a rule raises them. */
function backgroundLogit(seed: number, token: number): number {
  const noise = (mix(seed, token) >>> 8) / 0x100_0000
  if (token >= tokens.begin) return -30
  return (token < firstWord ? -16 : -8) + noise
}

function raiseCandidates(row: Float32Array, seed: number, windows: Int32Array, offset: number): void {
  const before2 = windows[offset + windowLength - 3] ?? noToken
  const before = windows[offset + windowLength - 2] ?? noToken
  const last = windows[offset + windowLength - 1] ?? noToken
  const next = ruledToken(before2, before, last)
  if (next !== undefined) row[next] = forced
  const hash = windowHash(seed, windows, offset)
  if (last === 0x98 && before === 0x9f) {
    row[0x80 + (hash & 0x0f)] = forced
    return
  }
  for (let i = 0; i < candidateCount; i++) {
    const token = candidate(mix(hash, i + 1), last)
    const logit = candidateBest - candidateStep * i
    if (logit > (row[token] ?? 0)) row[token] = logit
  }
}

/** Endings, and the inner bytes of an emoji (F0 9F 98 80…8F), are not a matter of chance. */
function ruledToken(before2: number, before: number, last: number): number | undefined {
  if (before2 === theToken && before === endToken && last === tokens.period) return tokens.end
  if (last === 0xf0) return 0x9f
  if (last === 0x9f && before === 0xf0) return 0x98
  return undefined
}

function candidate(hash: number, last: number): number {
  const kind = hash >>> 24
  const afterWord = last >= firstWord && last < firstWord + wordCount
  if (afterWord && kind < 24) return kind < 14 ? tokens.comma : tokens.period
  if (kind > 250) return 0xf0
  return firstWord + ((hash & 0xff_ffff) % wordCount)
}

function windowHash(seed: number, windows: Int32Array, offset: number): number {
  let hash = seed | 0
  for (let i = 0; i < windowLength; i++) hash = mix(hash, windows[offset + i] ?? noToken)
  return hash
}

/** murmur3's finaliser over two words: cheap, and every bit of the input reaches every bit of the output. */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ Math.imul(b, 0xcc9e_2d51), 0x1b87_3593)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function indexOfMax(row: Float32Array): number {
  let best = 0
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < row.length; i++) {
    const value = row[i] ?? most
    if (value > most) {
      most = value
      best = i
    }
  }
  return best
}
