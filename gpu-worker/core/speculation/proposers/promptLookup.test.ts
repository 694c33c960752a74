import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { agreementMax, continuation, type LookupOptions, type Match, PromptLookup } from './promptLookup.ts'

/** Few different tokens, so that nearly everything has stood somewhere before. */
const text = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 200 })
const options = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 9 }))
  .map(
    ([gramMin, more, placesMax]): LookupOptions => ({
      grams: more === 0 ? [gramMin] : [gramMin + more, gramMin],
      placesMax,
    }),
  )

describe('the match of a text with itself', () => {
  test('is what a naive search finds, however the text came in', () => {
    fc.assert(
      fc.property(text, options, fc.integer({ min: 1, max: 40 }), (tokens, chosen, step) => {
        const lookup = new PromptLookup(chosen)
        for (let shown = step; shown < tokens.length; shown += step) lookup.catchUp(tokens.slice(0, shown))
        lookup.catchUp(tokens)
        expect(lookup.match(tokens)).toEqual(naiveMatch(tokens, chosen))
      }),
    )
  })

  test('prefers the place that agrees further back to the latest one', () => {
    const lookup = new PromptLookup({ grams: [2], placesMax: 4 })
    const tokens = [5, 1, 2, 70, 6, 1, 2, 80, 5, 1, 2]
    lookup.catchUp(tokens)
    expect(lookup.match(tokens)).toEqual({ end: 2, length: 3 })
  })

  test('is none where nothing has stood before', () => {
    const lookup = new PromptLookup()
    lookup.catchUp([1, 2, 3, 4, 5])
    expect(lookup.match([1, 2, 3, 4, 5])).toBeUndefined()
  })
})

describe('a continuation', () => {
  test('repeats what followed the match', () => {
    expect(continuation([1, 2, 3, 4, 5, 1, 2], { end: 1, length: 2 }, 3)).toEqual([3, 4, 5])
  })

  test('goes on into itself behind the end of the text', () => {
    expect(continuation([9, 1, 2, 1, 2], { end: 2, length: 2 }, 5)).toEqual([1, 2, 1, 2, 1])
    expect(continuation([7, 7, 7], { end: 1, length: 2 }, 4)).toEqual([7, 7, 7, 7])
  })
})

test('a sequence longer than the bound takes no more memory, and is still matched', () => {
  const { indexedTokensMax } = limits.speculation
  const lookup = new PromptLookup()
  const tokens = Array.from({ length: indexedTokensMax + 1_000 }, (_, i) => i)
  tokens.push(5, 6, 7, 8)
  lookup.catchUp(tokens)
  expect(lookup.match(tokens)).toEqual({ end: 8, length: 4 })
  expect(lookup.bytes).toBeLessThanOrEqual(40 * indexedTokensMax)
})

describe('the confidence of a match', () => {
  test('falls where such matches came to nothing, and rises where they held', () => {
    const misleading = new PromptLookup({ grams: [1], placesMax: 1 })
    const tokens = [1, 2]
    misleading.catchUp(tokens)
    for (let i = 3; i < 40; i++) tokens.push(1, i)
    const before = misleading.confidence(1)
    misleading.catchUp(tokens)
    expect(misleading.confidence(1)).toBeLessThan(before / 2)

    const periodic = new PromptLookup({ grams: [3], placesMax: 1 })
    const rhyme = [1, 2, 3, 4]
    periodic.catchUp(rhyme)
    for (let i = 0; i < 30; i++) rhyme.push(1, 2, 3, 4)
    periodic.catchUp(rhyme)
    expect(periodic.confidence(agreementMax)).toBeGreaterThan(0.98)
  })

  test('learns nothing from the prompt', () => {
    const lookup = new PromptLookup()
    const before = lookup.confidence(8)
    lookup.catchUp(Array.from({ length: 400 }, (_, i) => i % 5))
    expect(lookup.confidence(8)).toBe(before)
  })
})

function naiveMatch(tokens: readonly number[], { grams, placesMax }: LookupOptions): Match | undefined {
  const last = tokens.length - 1
  for (const n of grams) {
    const places = Array.from({ length: last }, (_, end) => last - 1 - end)
      .filter((end) => end >= n - 1 && agreement(tokens, end, last) >= n)
      .slice(0, placesMax)
    const best = places.toSorted((a, b) => agreement(tokens, b, last) - agreement(tokens, a, last))[0]
    if (best !== undefined) return { end: best, length: agreement(tokens, best, last) }
  }
  return undefined
}

function agreement(tokens: readonly number[], end: number, last: number): number {
  let length = 0
  while (length < agreementMax && end - length >= 0 && tokens[end - length] === tokens[last - length]) length += 1
  return length
}
