import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createStopStrings } from './stopStrings.ts'
import { createTextStream } from './textStream.ts'
import { createUtf8Assembler } from './utf8.ts'

/** Cuts `items` at places drawn by fast-check. */
function cut<T extends { slice(a: number, b: number): T; length: number }>(items: T, places: readonly number[]): T[] {
  const sorted = [0, ...places.map((place) => place % (items.length + 1)), items.length].sort((a, b) => a - b)
  return sorted.slice(1).map((end, i) => items.slice(sorted[i] ?? 0, end))
}

const places = fc.array(fc.nat(1_000), { maxLength: 30 })
const bytes = (text: string) => new TextEncoder().encode(text)
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '漢', '👩‍👩‍👧', '🏳️‍🌈', '\u{1F600}', '\uFEFF', ' ') })

test('however bytes are cut, the characters are the same and none is split', () => {
  fc.assert(
    fc.property(text, places, (whole, at) => {
      const assembler = createUtf8Assembler()
      const pieces = cut(bytes(whole), at).map((piece) => assembler.push(piece))
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true)
      expect(pieces.join('') + assembler.finish()).toBe(whole)
    }),
  )
})

test('bytes that are no characters become the same replacement characters however they are cut', () => {
  fc.assert(
    fc.property(fc.uint8Array(), places, (raw, at) => {
      const assembler = createUtf8Assembler()
      const pieces = cut(raw, at).map((piece) => assembler.push(piece))
      const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw)
      expect(pieces.join('') + assembler.finish()).toBe(whole)
    }),
    { numRuns: 1_000 },
  )
})

test('a character comes out with its last byte, not before and not later', () => {
  const assembler = createUtf8Assembler()
  expect([...bytes('👩')].map((byte) => assembler.push(Uint8Array.of(byte)))).toEqual(['', '', '', '👩'])
})

test('a broken character comes out once it is certain, an unfinished one at the end', () => {
  const assembler = createUtf8Assembler()
  expect(assembler.push(Uint8Array.of(0xf0, 0x9f))).toBe('')
  expect(assembler.push(bytes('a'))).toBe('\uFFFDa')
  expect(assembler.push(Uint8Array.of(0xe6, 0xbc))).toBe('')
  expect(assembler.finish()).toBe('\uFFFD')
})

/** The definition: look at every end, shortest first, and at each take the longest stop string. */
function stopByDefinition(whole: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= whole.length; end++) {
    const matching = stops.filter((stop) => whole.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length)
    const stop = matching[0]
    if (stop !== undefined) return { text: whole.slice(0, end - stop.length), stopped: true }
  }
  return { text: whole, stopped: false }
}

function streamed(pieces: readonly string[], stops: readonly string[]) {
  const matcher = createStopStrings(stops)
  let released = ''
  for (const piece of pieces) {
    const found = matcher.push(piece)
    released += found.text
    if (found.stopped) return { text: released, stopped: true }
  }
  return { text: released + matcher.finish(), stopped: false }
}

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n'), minLength: 1, maxLength: 6 })

test('however text is cut, a stop string ends it at the same place', () => {
  const stops = fc.array(word, { maxLength: 4 })
  const whole = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n'), maxLength: 40 })
  fc.assert(
    fc.property(whole, stops, places, (all, some, at) => {
      expect(streamed(cut(all, at), some)).toEqual(stopByDefinition(all, some))
    }),
    { numRuns: 3_000 },
  )
})

test('only what may still become a stop string is held back', () => {
  const matcher = createStopStrings(['</answer>', 'STOP'])
  expect(matcher.push('42</ans')).toEqual({ text: '42', stopped: false })
  expect(matcher.push('wers')).toEqual({ text: '</answers', stopped: false })
  expect(matcher.push(' ST')).toEqual({ text: ' ', stopped: false })
  expect(matcher.push('OP and more')).toEqual({ text: '', stopped: true })
  expect(matcher.finish()).toBe('')
})

test('the longest of the stop strings that end together is the one removed', () => {
  expect(streamed(['xab', 'c'], ['c', 'abc'])).toEqual({ text: 'x', stopped: true })
  expect(streamed(['xab', 'c'], ['b', 'abc'])).toEqual({ text: 'xa', stopped: true })
})

test('a stop string with half a character in it never matches and never splits a character', () => {
  expect(streamed(['a\u{1F600}', 'b'], ['\uDE00'])).toEqual({ text: 'a\u{1F600}b', stopped: false })
})

test('a stream of token bytes releases whole characters up to the stop string and nothing after it', () => {
  const stream = createTextStream({ stop: ['。終'] })
  const all = bytes('漢字。終わり')
  let released = ''
  let stops = 0
  for (const byte of all) {
    const found = stream.push(Uint8Array.of(byte))
    released += found.text
    if (found.stopped) stops += 1
  }
  expect(released + stream.finish()).toBe('漢字')
  expect(stops).toBe(1)
})

test('at the end a stream releases what it held for a stop string that did not come', () => {
  const stream = createTextStream({ stop: ['abcd'] })
  expect(stream.push(bytes('xabc')).text).toBe('x')
  expect(stream.push(Uint8Array.of(0xe6)).text).toBe('')
  expect(stream.finish()).toBe('abc\uFFFD')
  expect(stream.finish()).toBe('')
})
