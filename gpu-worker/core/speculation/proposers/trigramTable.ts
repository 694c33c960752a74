/**
 * The base table of the tri-gram proposer: for two tokens in a row, which tokens came next in a corpus, and how often.
 *
 * A file is used as it lies in memory, without a copy: a header, then columns, each aligned to its element, little endian.
 *
 *     header, 128 bytes   magic, version, sizes, digest of the tokenizer, digest of all that and of the columns
 *     firsts              uint32 × (vocabulary + 1)   bigrams that begin with a token: from firsts[token] to firsts[token + 1]
 *     seconds             uint32 × bigrams            their second tokens, ascending
 *     offsets             uint32 × (bigrams + 1)      successors of a bigram: from offsets[bigram] to offsets[bigram + 1]
 *     successors          uint32 × successors         heaviest first, at most twelve of one bigram
 *     weights             float16 × successors        share of the bigram's sightings that this token followed
 *
 * Together firsts and seconds are the sorted list of bigram keys, at half the size of 64-bit keys; most bigrams have one or two
 * successors, so these are not padded to twelve. A table is read-only and belongs to nobody: what a request teaches is kept elsewhere.
 */
import { createHash } from 'node:crypto'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

export const tableMagic = 'PLTRIGRM'
export const tableVersion = 1
export const headerBytes = 128
/** Where things stand in the header. */
export const headerAt = { magic: 0, version: 8, vocabulary: 12, bigrams: 16, successors: 20, tokensSeen: 24 } as const
export const tokenizerAt = 32
export const digestAt = 64
export const digestBytes = 32

export interface TrigramTable {
  readonly vocabularySize: number
  /** SHA-256 of the tokenizer (`tokenizerDigest`), hex: ids mean something only to the tokenizer they were made with. */
  readonly tokenizer: string
  /** SHA-256 of the content, hex: names the table. */
  readonly digest: string
  readonly bigrams: number
  readonly entries: number
  /** Tokens of the corpus. */
  readonly tokensSeen: number
  readonly bytes: number
  readonly successors: Uint32Array
  readonly weights: Float16Array
  readonly offsets: Uint32Array
  /** The bigram's number; its successors stand from `offsets[number]` to `offsets[number + 1]`. */
  find(first: number, second: number): number | undefined
}

/** Throws `Failure('invalid-configuration')` that says what to do where the file is damaged, foreign or for another tokenizer. */
export function readTrigramTable(file: ArrayBuffer, expected: { tokenizer?: string } = {}): TrigramTable {
  const header = readHeader(file)
  const { vocabularySize, bigrams, entries, tokenizer, digest } = header
  if (expected.tokenizer !== undefined && expected.tokenizer !== tokenizer)
    throw refusal(`is for another tokenizer (${tokenizer.slice(0, 12)}…, not ${expected.tokenizer.slice(0, 12)}…)`)
  if (toHex(contentDigest(file)) !== digest)
    throw refusal('is damaged: its content does not have the digest that its header names')
  const columns = columnsOf(file, { vocabularySize, bigrams, entries })
  checkColumns(columns, vocabularySize)
  const { firsts, seconds, offsets, successors, weights } = columns
  return {
    ...header,
    bytes: file.byteLength,
    offsets,
    successors,
    weights,
    find: (first, second) => place(seconds, firsts[first] ?? 0, firsts[first + 1] ?? 0, second),
  }
}

export interface TableSizes {
  readonly vocabularySize: number
  readonly bigrams: number
  readonly entries: number
}

export const tableBytes = ({ vocabularySize, bigrams, entries }: TableSizes): number =>
  headerBytes + 4 * (vocabularySize + 1) + 4 * bigrams + 4 * (bigrams + 1) + 4 * entries + 2 * entries

/** Of everything but itself: of what stands before it, and of the columns. */
export function contentDigest(file: ArrayBuffer): Uint8Array {
  const before = new Uint8Array(file, 0, digestAt)
  return createHash('sha256').update(before).update(new Uint8Array(file, headerBytes)).digest()
}

/** Views of a file's columns. */
export function columnsOf(file: ArrayBuffer, { vocabularySize, bigrams, entries }: TableSizes) {
  let at = headerBytes
  const words = (count: number) => {
    const view = new Uint32Array(file, at, count)
    at += view.byteLength
    return view
  }
  const firsts = words(vocabularySize + 1)
  const seconds = words(bigrams)
  const offsets = words(bigrams + 1)
  const successors = words(entries)
  return { firsts, seconds, offsets, successors, weights: new Float16Array(file, at, entries) }
}

function readHeader(file: ArrayBuffer) {
  const view = new DataView(file)
  if (file.byteLength < headerBytes || textAt(view, headerAt.magic, tableMagic.length) !== tableMagic)
    throw refusal('is no tri-gram table')
  const word = (at: number) => view.getUint32(at, true)
  if (word(headerAt.version) !== tableVersion)
    throw refusal(`has version ${word(headerAt.version)}; this program reads version ${tableVersion}`)
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) throw refusal('cannot be used on a big-endian processor')
  const sizes = {
    vocabularySize: word(headerAt.vocabulary),
    bigrams: word(headerAt.bigrams),
    entries: word(headerAt.successors),
  }
  const bytes = tableBytes(sizes)
  if (bytes > limits.speculation.trigramTableBytesMax)
    throw refusal(`needs ${bytes} bytes, more than the ${limits.speculation.trigramTableBytesMax} that are allowed`)
  if (bytes !== file.byteLength) throw refusal(`is damaged: ${file.byteLength} bytes instead of ${bytes}`)
  return {
    ...sizes,
    tokensSeen: Number(view.getBigUint64(headerAt.tokensSeen, true)),
    tokenizer: hexAt(file, tokenizerAt),
    digest: hexAt(file, digestAt),
  }
}

/** A digest proves that a file is whole, not that whoever made it knew the rules; a wrong offset would be read without a word. */
function checkColumns(columns: ReturnType<typeof columnsOf>, vocabularySize: number): void {
  const { firsts, seconds, offsets, successors, weights } = columns
  const { successorsMax } = limits.speculation
  const isSound =
    firsts[0] === 0 &&
    firsts.at(-1) === seconds.length &&
    offsets[0] === 0 &&
    offsets.at(-1) === successors.length &&
    firsts.every((from, i) => i === 0 || from >= (firsts[i - 1] ?? 0)) &&
    offsets.every((from, i) => i === 0 || isStep(offsets[i - 1] ?? 0, from, successorsMax)) &&
    seconds.every((second) => second < vocabularySize) &&
    successors.every((successor) => successor < vocabularySize) &&
    weights.every((weight) => weight > 0 && weight <= 1)
  if (!isSound || !areAscending(firsts, seconds)) throw refusal('breaks the rules of its own format')
}

const isStep = (before: number, from: number, most: number) => from > before && from - before <= most

function areAscending(firsts: Uint32Array, seconds: Uint32Array): boolean {
  for (let token = 0; token + 1 < firsts.length; token++) {
    for (let i = (firsts[token] ?? 0) + 1; i < (firsts[token + 1] ?? 0); i++)
      if ((seconds[i] ?? 0) <= (seconds[i - 1] ?? 0)) return false
  }
  return true
}

/** Binary search; few tokens begin more than some hundred bigrams. */
function place(seconds: Uint32Array, from: number, to: number, second: number): number | undefined {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((seconds[middle] ?? 0) < second) low = middle + 1
    else high = middle
  }
  return low < to && seconds[low] === second ? low : undefined
}

const refusal = (problem: string) =>
  new Failure(
    'invalid-configuration',
    `the tri-gram table ${problem}; build it anew for this model with paceline calibrate trigram`,
  )

const textAt = (view: DataView, at: number, length: number) =>
  Array.from({ length }, (_, i) => String.fromCharCode(view.getUint8(at + i))).join('')

const hexAt = (file: ArrayBuffer, at: number) => toHex(new Uint8Array(file, at, digestBytes))

const toHex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
