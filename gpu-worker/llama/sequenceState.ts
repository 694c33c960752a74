/**
 * The form in which a sequence leaves the cache: a header of ours, then llama.cpp's own bytes.
 *
 * llama.cpp trusts what it is given back, so the header says which runner made it (model, library, cache type and shape) and
 * anything else is refused before native code reads a byte.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'

const magic = 0x3151_4553 // "SEQ1"
const fingerprintBytes = 8
export const headerBytes = 8 + fingerprintBytes

export function stateFingerprint(parts: readonly (string | number)[]): Uint8Array {
  return createHash('sha256').update(parts.join('\n')).digest().subarray(0, fingerprintBytes)
}

/** Writes the header; the body is written by llama.cpp behind it. */
export function writeHeader(state: Uint8Array, header: { cells: number; fingerprint: Uint8Array }): void {
  assert(state.byteLength >= headerBytes)
  const view = new DataView(state.buffer, state.byteOffset, headerBytes)
  view.setUint32(0, magic, true)
  view.setUint32(4, header.cells, true)
  state.set(header.fingerprint, 8)
}

/** The number of cells in a state of this runner; undefined for anything else. */
export function readHeader(state: Uint8Array, fingerprint: Uint8Array): { cells: number } | undefined {
  if (state.byteLength <= headerBytes) return undefined
  const view = new DataView(state.buffer, state.byteOffset, headerBytes)
  if (view.getUint32(0, true) !== magic) return undefined
  const made = state.subarray(8, headerBytes)
  return made.every((byte, i) => byte === fingerprint[i]) ? { cells: view.getUint32(4, true) } : undefined
}
