/**
 * A message over `limits.nats.payloadBytesMax` travels as numbered parts and is put together again at the receiver.
 *
 * Pure: the assembler is a value; `now` is passed in. Bounded by `partsBytesMax` and `partsAgeMsMax`: what does not fit or
 * is too old is dropped, and the sender's accept timeout tells it so.
 */
import { limits } from './limits.ts'

export interface Part {
  readonly id: string
  readonly index: number
  readonly count: number
  readonly bytes: Uint8Array
}

const magic = 0x50_41_52_54 // "PART"
const fixedBytes = 4 + 2 + 2 + 2

/** The payloads to publish for `bytes`: itself where it fits, else its parts. `id` must be unique to this message. */
export function split(
  id: string,
  bytes: Uint8Array,
  payloadBytesMax: number = limits.nats.payloadBytesMax,
): Uint8Array[] {
  if (bytes.length <= payloadBytesMax) return [bytes]
  const name = new TextEncoder().encode(id)
  const room = payloadBytesMax - fixedBytes - name.length
  const count = Math.ceil(bytes.length / room)
  return Array.from({ length: count }, (_, index) => {
    const piece = bytes.subarray(index * room, (index + 1) * room)
    const payload = new Uint8Array(fixedBytes + name.length + piece.length)
    const view = new DataView(payload.buffer)
    view.setUint32(0, magic)
    view.setUint16(4, index)
    view.setUint16(6, count)
    view.setUint16(8, name.length)
    payload.set(name, fixedBytes)
    payload.set(piece, fixedBytes + name.length)
    return payload
  })
}

/** The part in a payload, or null where the payload is a whole message (JSON starts with `{`, never with the magic). */
export function parsePart(payload: Uint8Array): Part | null {
  if (payload.length < fixedBytes) return null
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (view.getUint32(0) !== magic) return null
  const nameBytes = view.getUint16(8)
  const index = view.getUint16(4)
  const count = view.getUint16(6)
  if (index >= count || fixedBytes + nameBytes > payload.length) return null
  const id = new TextDecoder().decode(payload.subarray(fixedBytes, fixedBytes + nameBytes))
  return { id, index, count, bytes: payload.subarray(fixedBytes + nameBytes) }
}

interface Assembly {
  readonly startedAt: number
  readonly count: number
  readonly parts: Map<number, Uint8Array>
}

/** Puts parts together. One writer; holds at most `partsBytesMax` bytes, oldest dropped first. */
export class Assembler {
  readonly #open = new Map<string, Assembly>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** The whole message once its last part is in, else null. A repeated part changes nothing. */
  add(part: Part, now: number): Uint8Array | null {
    this.#dropOld(now)
    const assembly = this.#open.get(part.id) ?? {
      startedAt: now,
      count: part.count,
      parts: new Map<number, Uint8Array>(),
    }
    this.#open.set(part.id, assembly)
    if (assembly.count === part.count && !assembly.parts.has(part.index)) {
      assembly.parts.set(part.index, part.bytes.slice())
      this.#bytes += part.bytes.length
    }
    if (assembly.parts.size === assembly.count) return this.#take(part.id, assembly)
    while (this.#bytes > limits.nats.partsBytesMax) this.#dropOldest()
    return null
  }

  #take(id: string, assembly: Assembly): Uint8Array {
    const pieces = [...assembly.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)
    this.#drop(id, assembly)
    return Buffer.concat(pieces)
  }

  #drop(id: string, assembly: Assembly): void {
    for (const bytes of assembly.parts.values()) this.#bytes -= bytes.length
    this.#open.delete(id)
  }

  #dropOld(now: number): void {
    for (const [id, assembly] of this.#open) {
      if (now - assembly.startedAt < limits.nats.partsAgeMsMax) return
      this.#drop(id, assembly)
    }
  }

  #dropOldest(): void {
    const oldest = this.#open.entries().next().value
    if (oldest !== undefined) this.#drop(...oldest)
  }
}
