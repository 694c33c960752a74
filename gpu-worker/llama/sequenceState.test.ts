import { expect, test } from 'vitest'
import { headerBytes, readHeader, stateFingerprint, writeHeader } from './sequenceState.ts'

const fingerprint = stateFingerprint(['library', 'model', 'f16', 'split', 8])

test('a header says how many cells follow, to the runner that wrote it', () => {
  const state = new Uint8Array(headerBytes + 4)
  writeHeader(state, { cells: 17, fingerprint })
  expect(readHeader(state, fingerprint)).toEqual({ cells: 17 })
})

test('the state of another model, cache type or shape is not read', () => {
  const state = new Uint8Array(headerBytes + 4)
  writeHeader(state, { cells: 17, fingerprint: stateFingerprint(['library', 'model', 'q8_0', 'split', 8]) })
  expect(readHeader(state, fingerprint)).toBeUndefined()
})

test('neither are bytes that are too few or something else', () => {
  expect(readHeader(new Uint8Array(3), fingerprint)).toBeUndefined()
  expect(readHeader(new Uint8Array(headerBytes + 4), fingerprint)).toBeUndefined()
})
