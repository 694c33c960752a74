/**
 * What stands at the beginning of a GGUF file: its settings, and the names and shapes of its tensors. Read here before native code
 * sees the file, because llama.cpp ends the process where a setting has another type than it expects.
 *
 * Reads no weights. Bounded: a header of more than `bytesMax` is refused. Versions 2 and 3, little endian.
 */
import { open } from 'node:fs/promises'
import { Failure } from '#contracts/failure.ts'

export interface GgufHeader {
  /** Lists are left out. */
  readonly settings: ReadonlyMap<string, GgufSetting>
  /** Shapes, the side that lies together in memory first. */
  readonly tensors: ReadonlyMap<string, readonly number[]>
  readonly fileBytes: number
}

export interface GgufSetting {
  readonly type: number
  readonly value: string | number | boolean
}

const magic = 0x4655_4747 // "GGUF"
const bytesFirst = 256 * 1024
const bytesMax = 64 * 1024 * 1024
/** Of one name, list or number of dimensions; more is no header. */
const countMax = 16 * 1024 * 1024

export const ggufType = { uint32: 4, float32: 6, text: 8, list: 9 } as const

export async function readGgufHeader(path: string): Promise<GgufHeader> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    for (let bytes = bytesFirst; ; bytes *= 8) {
      const start = new Uint8Array(Math.min(bytes, size, bytesMax))
      await file.read(start, 0, start.length, 0)
      try {
        return { ...parse(new Cursor(start)), fileBytes: size }
      } catch (error) {
        if (!(error instanceof RangeError) || start.length === size || start.length === bytesMax) throw error
      }
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Failure('model-unusable', `the GGUF file ${path} cannot be read: ${reason}`, { cause })
  }
}

function parse(cursor: Cursor): Omit<GgufHeader, 'fileBytes'> {
  if (cursor.word() !== magic) throw new Error('it does not start with GGUF')
  const version = cursor.word()
  if (version !== 2 && version !== 3) throw new Error(`version ${version} is not known`)
  const tensorCount = cursor.count()
  const settingCount = cursor.count()
  const settings = new Map<string, GgufSetting>()
  for (let i = 0; i < settingCount; i++) {
    const key = cursor.text()
    const type = cursor.word()
    const value = cursor.value(type)
    if (value !== null) settings.set(key, { type, value })
  }
  const tensors = new Map<string, number[]>()
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.text()
    const shape = Array.from({ length: cursor.word() }, () => cursor.count())
    cursor.skip(4 + 8) // its type and where it lies
    tensors.set(name, shape)
  }
  return { settings, tensors }
}

/** Bytes of each type of fixed size, by its number. */
const sizes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }

/** Throws a `RangeError` at the end of what was read. */
class Cursor {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  skip(bytes: number): void {
    this.#at += bytes
    if (this.#at > this.#bytes.length) throw new RangeError('it ends within its header')
  }

  word(): number {
    this.skip(4)
    return this.#view.getUint32(this.#at - 4, true)
  }

  count(): number {
    this.skip(8)
    const count = this.#view.getBigUint64(this.#at - 8, true)
    if (count > BigInt(countMax)) throw new Error(`a count of ${count} is none`)
    return Number(count)
  }

  text(): string {
    const bytes = this.count()
    this.skip(bytes)
    return new TextDecoder().decode(this.#bytes.subarray(this.#at - bytes, this.#at))
  }

  /** Null for a list. */
  value(type: number): string | number | boolean | null {
    if (type === ggufType.text) return this.text()
    if (type === ggufType.list) return this.#skipList()
    const size = sizes[type]
    if (size === undefined) throw new Error(`a value of type ${type} is none`)
    this.skip(size)
    return this.#number(type, this.#at - size)
  }

  #number(type: number, at: number): number | boolean {
    const view = this.#view
    switch (type) {
      case 0:
        return view.getUint8(at)
      case 1:
        return view.getInt8(at)
      case 2:
        return view.getUint16(at, true)
      case 3:
        return view.getInt16(at, true)
      case ggufType.uint32:
        return view.getUint32(at, true)
      case 5:
        return view.getInt32(at, true)
      case ggufType.float32:
        return view.getFloat32(at, true)
      case 7:
        return view.getUint8(at) !== 0
      case 10:
        return Number(view.getBigUint64(at, true))
      case 11:
        return Number(view.getBigInt64(at, true))
      default:
        return view.getFloat64(at, true)
    }
  }

  #skipList(): null {
    const type = this.word()
    const length = this.count()
    const size = sizes[type]
    if (size !== undefined) this.skip(size * length)
    else for (let i = 0; i < length; i++) this.value(type)
    return null
  }
}
