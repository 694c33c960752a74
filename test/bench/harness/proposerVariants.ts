/** The settings of the proposers that `proposers.ts` compares: each differs from the default in one thing. */
import { NgramProposer } from '../../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import { lookupDefaults, type LookupOptions } from '../../../gpu-worker/core/speculation/proposers/promptLookup.ts'
import {
  trigramDefaults,
  TrigramProposer,
  type TrigramOptions,
} from '../../../gpu-worker/core/speculation/proposers/trigramProposer.ts'
import type { TrigramTable } from '../../../gpu-worker/core/speculation/proposers/trigramTable.ts'
import type { Variant } from './replay.ts'

export function variants(table: TrigramTable | null): Variant[] {
  return [...lookups(), ...trigrams(table)]
}

function lookups(): Variant[] {
  const chain = (name: string, options: Partial<LookupOptions>, tokensMax = 8): Variant => ({
    name: `lookup ${name}, ${tokensMax}`,
    tokensMax,
    depthMax: tokensMax,
    create: () => new NgramProposer({ ...lookupDefaults, ...options }),
  })
  const grams = (lengths: readonly number[], placesMax: number, tokensMax?: number) =>
    chain(`n=${lengths.join()} of ${placesMax}`, { grams: lengths, placesMax }, tokensMax)
  return [
    ...[[2], [3, 2], [4, 3, 2], [4, 2], [3], [4, 3], [4]].flatMap((n) => [grams(n, 1), grams(n, 8)]),
    ...[4, 16, 32].flatMap((tokensMax) => [grams([4, 3], 8, tokensMax), grams([4, 2], 8, tokensMax)]),
  ]
}

function trigrams(table: TrigramTable | null): Variant[] {
  const variant = (
    name: string,
    options: Partial<TrigramOptions>,
    tokensMax: number,
    depthMax = tokensMax,
  ): Variant => ({
    name: `tri-gram ${name}, ${tokensMax === depthMax ? 'chain' : `tree ${depthMax} deep`} of ${tokensMax}`,
    tokensMax,
    depthMax,
    create: () => new TrigramProposer(table, { ...trigramDefaults, ...options }),
  })
  const bonus = (value: number) => ({ adaptive: { ...trigramDefaults.adaptive, bonus: value } })
  const none: Variant = {
    name: 'tri-gram without a table, chain of 8',
    tokensMax: 8,
    depthMax: 8,
    create: () => new TrigramProposer(null),
  }
  return [
    none,
    ...[4, 8].map((tokensMax) => variant('default', {}, tokensMax)),
    variant('default', {}, 8, 4),
    variant('default', {}, 8, 7),
    variant('default', {}, 16, 4),
    ...[0, 0.04, 0.25, 1, 2, 3].map((value) => variant(`bonus ${value}`, bonus(value), 8)),
    ...[0.04, 0.25, 1, 2, 3].map((value) => variant(`bonus ${value}`, bonus(value), 8, 4)),
    ...[10, 40].flatMap((iterations) => [
      variant(`${iterations} rounds`, { search: { ...trigramDefaults.search, iterations } }, 8),
      variant(`${iterations} rounds`, { search: { ...trigramDefaults.search, iterations } }, 8, 4),
    ]),
  ]
}
