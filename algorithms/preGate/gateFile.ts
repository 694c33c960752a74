/**
 * A pre-gate as a file, little endian: written by `paceline calibrate gate`, read by whoever gates.
 *
 *     header, 128 bytes   magic, version, sizes, digest of the tokenizer, digest of all that and of what follows
 *     names               JSON list of the experts, filled up with blanks to a multiple of four bytes
 *     bias                float32 × experts
 *     weights             float32 × buckets × experts, the experts of one bucket beside each other
 *
 * The columns are used as they lie in the buffer, without a copy. The file says which tokenizer its ids are of, because a gate reads
 * nonsense from any other's.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { PreGate } from './preGate.ts'

const magic = 'PLPREGAT'
const version = 1
const headerBytes = 128
const digestBytes = 32
/** Where things stand in the header. */
const at = {
  version: 8,
  experts: 12,
  buckets: 16,
  gramMax: 20,
  tokensMax: 24,
  namesBytes: 28,
  tokenizer: 32,
  digest: 64,
} as const

export interface PreGateFile extends PreGate {
  /** SHA-256 of the tokenizer, hex. */
  readonly tokenizer: string
  /** SHA-256 of the content, hex: names the gate. */
  readonly digest: string
}

export function writePreGate(gate: PreGate, tokenizer: string): ArrayBuffer {
  const names = namesOf(gate.experts)
  const file = new ArrayBuffer(bytesOf(gate.experts.length, gate.form.buckets, names.length))
  const bytes = new Uint8Array(file)
  const view = new DataView(file)
  bytes.set(new TextEncoder().encode(magic))
  view.setUint32(at.version, version, true)
  view.setUint32(at.experts, gate.experts.length, true)
  view.setUint32(at.buckets, gate.form.buckets, true)
  view.setUint32(at.gramMax, gate.form.gramMax, true)
  view.setUint32(at.tokensMax, gate.form.tokensMax, true)
  view.setUint32(at.namesBytes, names.length, true)
  bytes.set(fromHex(tokenizer), at.tokenizer)
  bytes.set(names, headerBytes)
  const columns = columnsOf(file, gate.experts.length, names.length)
  columns.bias.set(gate.bias)
  columns.weights.set(gate.weights)
  bytes.set(fromHex(contentDigest(bytes)), at.digest)
  return file
}

/** Throws `Failure('invalid-configuration')` that says what to do where the file is damaged, foreign or for another tokenizer. */
export function readPreGate(file: ArrayBuffer, expected: { readonly tokenizer?: string } = {}): PreGateFile {
  const bytes = new Uint8Array(file)
  const { experts, form, namesBytes } = readSizes(file)
  const tokenizer = hexAt(bytes, at.tokenizer)
  const digest = hexAt(bytes, at.digest)
  if (expected.tokenizer !== undefined && expected.tokenizer !== tokenizer)
    throw refusal(`is for another tokenizer (${tokenizer.slice(0, 12)}…, not ${expected.tokenizer.slice(0, 12)}…)`)
  if (contentDigest(bytes) !== digest)
    throw refusal('is damaged: its content does not have the digest that its header names')
  const names = readNames(bytes.subarray(headerBytes, headerBytes + namesBytes))
  const { bias, weights } = columnsOf(file, experts, namesBytes)
  const isSound =
    new Set(names).size === experts &&
    names.length === experts &&
    bias.every(Number.isFinite) &&
    weights.every(Number.isFinite)
  if (!isSound) throw refusal('breaks the rules of its own format')
  return { form, experts: names, bias, weights, tokenizer, digest }
}

function readSizes(file: ArrayBuffer) {
  const view = new DataView(file)
  const word = (place: number) => view.getUint32(place, true)
  if (file.byteLength < headerBytes || new TextDecoder('latin1').decode(file.slice(0, magic.length)) !== magic)
    throw refusal('is no pre-gate')
  if (word(at.version) !== version)
    throw refusal(`has version ${word(at.version)}; this program reads version ${version}`)
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) throw refusal('cannot be used on a big-endian processor')
  const form = { buckets: word(at.buckets), gramMax: word(at.gramMax), tokensMax: word(at.tokensMax) }
  const [experts, namesBytes] = [word(at.experts), word(at.namesBytes)]
  const isPowerOfTwo = form.buckets > 0 && (form.buckets & (form.buckets - 1)) === 0
  if (!isPowerOfTwo || namesBytes % 4 !== 0 || experts === 0 || experts > limits.experts.expertsMax)
    throw refusal('breaks the rules of its own format')
  const bytes = bytesOf(experts, form.buckets, namesBytes)
  if (bytes !== file.byteLength) throw refusal(`is damaged: ${file.byteLength} bytes instead of ${bytes}`)
  return { experts, form, namesBytes }
}

function columnsOf(file: ArrayBuffer, experts: number, namesBytes: number) {
  const biasAt = headerBytes + namesBytes
  const weightsAt = biasAt + experts * Float32Array.BYTES_PER_ELEMENT
  return { bias: new Float32Array(file, biasAt, experts), weights: new Float32Array(file, weightsAt) }
}

/** Of everything but itself, hex. */
function contentDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes.subarray(0, at.digest)).update(bytes.subarray(headerBytes)).digest('hex')
}

function namesOf(experts: readonly string[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(experts))
  const names = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(0x20)
  names.set(text)
  return names
}

function readNames(bytes: Uint8Array): string[] {
  try {
    return z.array(z.string().min(1)).parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw refusal('does not name its experts', cause)
  }
}

const bytesOf = (experts: number, buckets: number, namesBytes: number) =>
  headerBytes + namesBytes + Float32Array.BYTES_PER_ELEMENT * experts * (1 + buckets)

const hexAt = (bytes: Uint8Array, place: number) =>
  Array.from(bytes.subarray(place, place + digestBytes), (byte) => byte.toString(16).padStart(2, '0')).join('')

const fromHex = (hex: string) =>
  Uint8Array.from({ length: digestBytes }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))

const refusal = (problem: string, cause?: unknown) =>
  new Failure(
    'invalid-configuration',
    `the pre-gate ${problem}; train it anew for this model with paceline calibrate gate`,
    {
      cause,
    },
  )
