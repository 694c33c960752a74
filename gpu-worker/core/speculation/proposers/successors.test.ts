import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { GramIndex } from './gramIndex.ts'
import { type Sighted, Successors } from './successors.ts'
import { TrigramCounter } from './trigramCounter.ts'
import { readTrigramTable } from './trigramTable.ts'

const adaptive = { bonus: 0.04, cap: 3, sightingsMax: 75 }
/** (1, 2) is followed by 3 once in ten, by 4 otherwise. */
const table = tableOf([[1, 2, 3], ...Array.from({ length: 9 }, () => [1, 2, 4])])

describe('the weight of a successor', () => {
  test('of one in ten is 0.30 after five sightings', () => {
    expect(weightsOf(sightedText(Array(5).fill([1, 2, 3]).flat())).get(3)).toBeCloseTo(0.3, 4)
  })

  test('does not grow over 3', () => {
    expect(weightsOf(sightedText(Array(74).fill([1, 2, 3]).flat())).get(3)).toBe(3)
    expect(weightsOf(sightedText(Array(400).fill([1, 2, 3]).flat())).get(3)).toBe(3)
  })

  test('is the base weight where the sequence shows nothing', () => {
    expect([...weightsOf(null)]).toEqual([
      [4, Math.f16round(0.9)],
      [3, Math.f16round(0.1)],
    ])
  })
})

describe('what a sequence shows', () => {
  test('is proposed where the base table has nothing', () => {
    const successors = new Successors(null, adaptive)
    successors.read(sightedText([8, 9, 5, 8, 9, 5, 8, 9, 6]), 8, 9)
    expect([...successors.tokens.subarray(0, successors.count)]).toEqual([5, 6])
    expect([...successors.weights.subarray(0, successors.count)]).toEqual([0.08, 0.04])
  })

  test('comes to the front with its sightings', () => {
    const sighted = sightedText(Array(30).fill([1, 2, 7]).flat())
    expect([...weightsOf(sighted).keys()]).toEqual([7, 4, 3])
  })

  test('never makes more successors than the bound', () => {
    const many = sightedText(Array.from({ length: 60 }, (_, i) => [1, 2, 20 + i]).flat())
    expect(weightsOf(many).size).toBe(limits.speculation.successorsMax)
  })
})

function weightsOf(sighted: Sighted | null): Map<number, number> {
  const successors = new Successors(table, adaptive)
  successors.read(sighted, 1, 2)
  return new Map(
    Array.from({ length: successors.count }, (_, i) => [successors.tokens[i] ?? -1, successors.weights[i] ?? -1]),
  )
}

function sightedText(tokens: readonly number[]): Sighted {
  const bigrams = new GramIndex(2)
  for (let end = 0; end + 1 < tokens.length; end++) bigrams.add(tokens, end)
  return { tokens, bigrams }
}

function tableOf(texts: readonly (readonly number[])[]) {
  const counter = new TrigramCounter({ vocabularySize: 100, tokenizer: '00'.repeat(32), sightingsMin: 1 })
  for (const text of texts) counter.add(text)
  return readTrigramTable(counter.build())
}
