import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GramIndex } from './gramIndex.ts'

describe('an index of grams', () => {
  test('knows every place of a gram, latest first', () => {
    const texts = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 900 })
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 4 }), (tokens, length) => {
        const index = new GramIndex(length)
        for (let end = 0; end < tokens.length; end++) index.add(tokens, end)
        const last = tokens.length - 1
        expect(placesOf(index, tokens, last)).toEqual(naivePlaces(tokens, last, length))
      }),
    )
  })

  test('takes grams of other texts', () => {
    const index = new GramIndex(2)
    const tokens = [1, 2, 3, 1, 2]
    for (let end = 0; end < tokens.length; end++) index.add(tokens, end)
    expect(index.last(tokens, [1, 2], 1)).toBe(4)
    expect(index.last(tokens, [2, 1], 1)).toBeUndefined()
    expect(index.last(tokens, [2], 0)).toBeUndefined()
  })

  test('takes at most 20 bytes a token of a text in which every gram is new', () => {
    const index = new GramIndex(3)
    const tokens = Array.from({ length: 65_536 }, (_, i) => i)
    for (let end = 0; end < tokens.length; end++) index.add(tokens, end)
    expect(index.bytes).toBeLessThanOrEqual(20 * tokens.length)
  })
})

function placesOf(index: GramIndex, tokens: readonly number[], last: number): number[] {
  const places: number[] = []
  for (let place = index.last(tokens, tokens, last); place !== undefined; place = index.before(place))
    places.push(place)
  return places
}

function naivePlaces(tokens: readonly number[], last: number, length: number): number[] {
  if (last + 1 < length) return []
  const gram = tokens.slice(last + 1 - length).join()
  return tokens
    .map((_, end) => end)
    .filter((end) => end >= length - 1 && tokens.slice(end + 1 - length, end + 1).join() === gram)
    .toReversed()
}
