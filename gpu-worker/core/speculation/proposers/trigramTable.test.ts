import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { TrigramCounter } from './trigramCounter.ts'
import { digestAt, headerAt, headerBytes, readTrigramTable, type TrigramTable } from './trigramTable.ts'

const tokenizer = 'ab'.repeat(32)
const text = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 120 })

describe('a tri-gram table', () => {
  test('holds the share of each successor among the sightings of its bigram', () => {
    const table = read(
      build([
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3, 9],
        [0, 1, 2, 4],
      ]),
    )
    expect(successorsOf(table, 1, 2)).toEqual([
      [3, 0.75],
      [4, 0.25],
    ])
    expect(successorsOf(table, 2, 3)).toEqual([[9, 1]])
    expect(table.find(3, 9)).toBeUndefined()
    expect(table).toMatchObject({ vocabularySize: 16, tokenizer, bigrams: 3, entries: 4, tokensSeen: 14 })
  })

  test('gives what counting by hand gives', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (sequences) => {
        const table = read(build(sequences))
        for (const [first, second] of allPairs(6))
          expect(successorsOf(table, first, second)).toEqual(counted(sequences, first, second))
      }),
    )
  })

  test('keeps the best twelve, the smaller token first where two are equal', () => {
    const sequences = Array.from({ length: 15 }, (_, i) => Array.from({ length: i === 14 ? 2 : 1 }, () => [7, 8, i]))
    const successors = successorsOf(read(build(sequences.flat())), 7, 8)
    expect(successors.map(([token]) => token)).toEqual([14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('leaves out what was seen less often than asked', () => {
    const table = read(
      build(
        [
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 4],
          [5, 6, 7],
        ],
        { sightingsMin: 2 },
      ),
    )
    expect(successorsOf(table, 1, 2)).toEqual([[3, Math.f16round(2 / 3)]])
    expect(table.find(5, 6)).toBeUndefined()
  })

  test('is the same file whatever the order of the sequences', () => {
    const sequences = [
      [1, 2, 3, 4],
      [2, 3, 5],
      [1, 2, 4, 4, 4, 4],
    ]
    expect(build(sequences)).toEqual(build(sequences.toReversed()))
    expect(read(build(sequences)).digest).toBe(read(build(sequences.toReversed())).digest)
  })

  test('takes no more room than it has entries', () => {
    const table = read(build([[1, 2, 3, 4, 5]]))
    expect(table.bytes).toBe(headerBytes + 4 * 17 + 4 * 3 + 4 * 4 + 6 * 3)
  })
})

describe('a file is refused, with what to do,', () => {
  const refused = (file: ArrayBuffer, problem: RegExp) => {
    expect(() => readTrigramTable(file)).toThrow(problem)
    expect(() => readTrigramTable(file)).toThrow(/paceline calibrate trigram/)
  }
  const changed = (change: (view: DataView) => void) => {
    const file = build([
      [1, 2, 3, 4],
      [1, 2, 4],
    ])
    change(new DataView(file))
    return file
  }

  test('where it is no table', () => {
    refused(new ArrayBuffer(0), /no tri-gram table/)
    refused(new TextEncoder().encode('x'.repeat(400)).buffer, /no tri-gram table/)
  })

  test('where it has another version', () => {
    refused(
      changed((view) => view.setUint32(headerAt.version, 9, true)),
      /version 9/,
    )
  })

  test('where it was cut or has grown', () => {
    refused(build([[1, 2, 3]]).slice(0, -1), /damaged/)
    refused(
      changed((view) => view.setUint32(headerAt.bigrams, 400, true)),
      /damaged: \d+ bytes instead of \d+/,
    )
  })

  test('where it would be larger than allowed', () => {
    refused(
      changed((view) => view.setUint32(headerAt.successors, 2 ** 31, true)),
      /more than the \d+ that are allowed/,
    )
  })

  test('where any byte of header or content has changed', () => {
    fc.assert(
      fc.property(fc.nat(build([[1, 2, 3, 4]]).byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const file = build([[1, 2, 3, 4]])
        const bytes = new Uint8Array(file)
        bytes[at] = (bytes[at] ?? 0) ^ mask
        const isUnused = at >= digestAt + 32 && at < headerBytes
        if (!isUnused) expect(() => readTrigramTable(file)).toThrow(/paceline calibrate trigram/)
      }),
    )
  })

  test('where it is for another tokenizer', () => {
    expect(() => readTrigramTable(build([[1, 2, 3]]), { tokenizer: 'cd'.repeat(32) })).toThrow(
      /another tokenizer \(abababababab…, not cdcdcdcdcdcd…\)/,
    )
  })
})

describe('a counter', () => {
  test('takes no more tokens than allowed', () => {
    const counter = new TrigramCounter({ vocabularySize: 4, tokenizer, sightingsMin: 1 })
    counter.add([1, 2, 3])
    expect(() => counter.add(Array<number>(limits.speculation.calibrationTokensMax - 2))).toThrow(/too many/)
  })
})

function build(sequences: readonly (readonly number[])[], options = { sightingsMin: 1 }): ArrayBuffer {
  const counter = new TrigramCounter({ vocabularySize: 16, tokenizer, ...options })
  for (const sequence of sequences) counter.add(sequence)
  return counter.build()
}

const read = (file: ArrayBuffer) => readTrigramTable(file, { tokenizer })

function successorsOf(table: TrigramTable, first: number, second: number): (readonly [number, number])[] {
  const bigram = table.find(first, second)
  if (bigram === undefined) return []
  const [from, to] = [table.offsets[bigram] ?? 0, table.offsets[bigram + 1] ?? 0]
  return Array.from({ length: to - from }, (_, i) => [table.successors[from + i] ?? -1, table.weights[from + i] ?? -1])
}

function counted(sequences: readonly (readonly number[])[], first: number, second: number): [number, number][] {
  const followers = sequences.flatMap((tokens) =>
    tokens.filter((_, i) => i >= 2 && tokens[i - 2] === first && tokens[i - 1] === second),
  )
  return [...new Set(followers)]
    .map((token) => [token, followers.filter((other) => other === token).length] as const)
    .toSorted(([a, countA], [b, countB]) => countB - countA || a - b)
    .map(([token, count]) => [token, Math.f16round(count / followers.length)])
}

function allPairs(count: number): [number, number][] {
  return Array.from({ length: count * count }, (_, i) => [Math.floor(i / count), i % count])
}
