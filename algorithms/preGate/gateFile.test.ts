import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { readPreGate, writePreGate } from './gateFile.ts'
import { trainingDefaults, trainPreGate } from './train.ts'

const tokenizer = 'a5'.repeat(32)
const form = { buckets: 64, gramMax: 2, tokensMax: 16 }
const gate = trainPreGate(
  [
    { tokens: [1, 2], expert: 'sql' },
    { tokens: [3, 4], expert: 'vers‑é' },
  ],
  { ...trainingDefaults, form, seed: 1 },
)
const written = () => writePreGate(gate, tokenizer)
const changed = (change: (bytes: Uint8Array) => void) => {
  const file = written()
  change(new Uint8Array(file))
  return file
}
/** As somebody would who knows how a digest is made, but not the rules. */
const resealed = (change: (bytes: Uint8Array) => void) =>
  changed((bytes) => {
    change(bytes)
    const hash = createHash('sha256').update(bytes.subarray(0, 64)).update(bytes.subarray(128))
    bytes.set(hash.digest(), 64)
  })

test('what was written is read, with the tokenizer it is for and a name of its own', () => {
  const { digest, ...read } = readPreGate(written(), { tokenizer })
  expect(read).toEqual({ ...gate, tokenizer })
  expect(digest).toMatch(/^[0-9a-f]{64}$/)
  expect(writePreGate(gate, tokenizer)).toEqual(written())
})

describe('refused, with what to do', () => {
  test.each([
    ['another tokenizer', written(), 'is for another tokenizer (a5a5a5a5a5a5…, not 000000000000…)'],
    ['no pre-gate', changed((bytes) => bytes.set([0])), 'is no pre-gate'],
    ['too short', new ArrayBuffer(20), 'is no pre-gate'],
    ['a later version', changed((bytes) => bytes.set([9], 8)), 'has version 9; this program reads version 1'],
    ['one bit wrong', changed((bytes) => bytes.set([1], 200)), 'is damaged'],
    ['cut', written().slice(0, 300), 'is damaged'],
    ['buckets that are no power of two', resealed((bytes) => bytes.set([63], 16)), 'breaks the rules'],
    ['no experts', resealed((bytes) => bytes.set([0], 12)), 'breaks the rules'],
    ['names that are none', resealed((bytes) => bytes.set([0x7b], 128)), 'does not name its experts'],
    ['weights that are no numbers', resealed((bytes) => bytes.fill(0xff, bytes.length - 4)), 'breaks the rules'],
  ])('%s', (_, file, message) => {
    const reading = () => readPreGate(file, { tokenizer: message.includes('another') ? '00'.repeat(32) : tokenizer })
    expect(reading).toThrow(message)
    expect(reading).toThrow('paceline calibrate gate')
  })
})
