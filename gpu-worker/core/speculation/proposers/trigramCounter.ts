/**
 * Builds a tri-gram table from token sequences: counts, divides by the bigram's count, keeps the best twelve.
 *
 * The same sequences in any order give the same bytes. Works on one array of tokens and one of places, sorted by the three tokens
 * that stand there: 8 bytes per token, whatever the text.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import {
  columnsOf,
  contentDigest,
  digestAt,
  digestBytes,
  headerAt,
  tableBytes,
  tableMagic,
  tableVersion,
  tokenizerAt,
} from './trigramTable.ts'

export interface CounterOptions {
  readonly vocabularySize: number
  /** SHA-256, hex. */
  readonly tokenizer: string
  /** Tri-grams seen less often are left out. */
  readonly sightingsMin: number
}

export class TrigramCounter {
  readonly #options: CounterOptions
  #tokens = new Uint32Array(1 << 16)
  #places = new Uint32Array(1 << 16)
  #tokenCount = 0
  #placeCount = 0

  constructor(options: CounterOptions) {
    this.#options = options
  }

  get tokensSeen(): number {
    return this.#tokenCount
  }

  /** Nothing is counted across the borders of two sequences. */
  add(sequence: readonly number[]): void {
    const total = this.#tokenCount + sequence.length
    if (total > limits.speculation.calibrationTokensMax)
      throw new Failure('invalid-configuration', `${total} tokens are too many for one table; give less text`)
    if (total > this.#tokens.length) {
      this.#tokens = doubled(this.#tokens, total)
      this.#places = doubled(this.#places, total)
    }
    this.#tokens.set(sequence, this.#tokenCount)
    for (let i = 0; i + 2 < sequence.length; i++) this.#places[this.#placeCount++] = this.#tokenCount + i
    this.#tokenCount = total
  }

  build(): ArrayBuffer {
    const tokens = this.#tokens
    const places = this.#places.subarray(0, this.#placeCount).toSorted((a, b) => {
      for (let i = 0; i < 2; i++) {
        const difference = (tokens[a + i] ?? 0) - (tokens[b + i] ?? 0)
        if (difference !== 0) return difference
      }
      return (tokens[a + 2] ?? 0) - (tokens[b + 2] ?? 0)
    })
    return write(this.#bigrams(places), this.#options, this.#tokenCount)
  }

  #bigrams(places: Uint32Array): Bigram[] {
    const token = (place: number, i: number) => this.#tokens[(places[place] ?? 0) + i] ?? 0
    const bigrams: Bigram[] = []
    for (let from = 0; from < places.length; ) {
      const [first, second] = [token(from, 0), token(from, 1)]
      let to = from
      const counts = new Map<number, number>()
      for (; to < places.length && token(to, 0) === first && token(to, 1) === second; to++)
        counts.set(token(to, 2), (counts.get(token(to, 2)) ?? 0) + 1)
      const successors = best(counts, to - from, this.#options.sightingsMin)
      if (successors.length > 0) bigrams.push({ first, second, successors })
      from = to
    }
    return bigrams
  }
}

interface Bigram {
  readonly first: number
  readonly second: number
  readonly successors: readonly (readonly [token: number, weight: number])[]
}

function best(counts: ReadonlyMap<number, number>, sightings: number, sightingsMin: number): Bigram['successors'] {
  return [...counts]
    .filter(([, count]) => count >= sightingsMin && Math.f16round(count / sightings) > 0)
    .toSorted(([a, countA], [b, countB]) => countB - countA || a - b)
    .slice(0, limits.speculation.successorsMax)
    .map(([token, count]) => [token, count / sightings] as const)
}

function write(bigrams: readonly Bigram[], options: CounterOptions, tokensSeen: number): ArrayBuffer {
  const { vocabularySize, tokenizer } = options
  const entries = bigrams.reduce((sum, { successors }) => sum + successors.length, 0)
  const sizes = { vocabularySize, bigrams: bigrams.length, entries }
  const file = new ArrayBuffer(tableBytes(sizes))
  fill(columnsOf(file, sizes), bigrams)
  const bytes = new Uint8Array(file)
  const view = new DataView(file)
  bytes.set(new TextEncoder().encode(tableMagic), headerAt.magic)
  view.setUint32(headerAt.version, tableVersion, true)
  view.setUint32(headerAt.vocabulary, vocabularySize, true)
  view.setUint32(headerAt.bigrams, bigrams.length, true)
  view.setUint32(headerAt.successors, entries, true)
  view.setBigUint64(headerAt.tokensSeen, BigInt(tokensSeen), true)
  for (let i = 0; i < digestBytes; i++) bytes[tokenizerAt + i] = Number.parseInt(tokenizer.slice(2 * i, 2 * i + 2), 16)
  bytes.set(contentDigest(file), digestAt)
  return file
}

function fill(columns: ReturnType<typeof columnsOf>, bigrams: readonly Bigram[]): void {
  const { firsts, seconds, offsets, successors, weights } = columns
  let entry = 0
  for (const [i, bigram] of bigrams.entries()) {
    firsts[bigram.first + 1] = i + 1
    seconds[i] = bigram.second
    for (const [token, weight] of bigram.successors) {
      successors[entry] = token
      weights[entry] = weight
      entry += 1
    }
    offsets[i + 1] = entry
  }
  for (let token = 1; token < firsts.length; token++)
    firsts[token] = Math.max(firsts[token] ?? 0, firsts[token - 1] ?? 0)
}

function doubled(array: Uint32Array<ArrayBuffer>, lengthMin: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(array.length * 2, lengthMin))
  larger.set(array)
  return larger
}
