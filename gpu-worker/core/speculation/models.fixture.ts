/**
 * Pairs of a target and a draft over a few tokens, made to be awkward: laws with zeros, one-hot on either side, equal ones. Every path
 * has its own law, the same whenever it is asked for.
 */
import { createRandom, type Random } from '#test/simulate/random.ts'
import type { Model } from './enumeration.fixture.ts'
import { type Law, lawOf, pointLaw } from './law.ts'

export interface Models {
  readonly name: string
  readonly target: Model
  readonly draft: Model
}

type Maker = (random: Random, vocabulary: number) => Law

const dense: Maker = (random, vocabulary) => lawOf(Array.from({ length: vocabulary }, () => 0.02 + random.next() ** 2))
const oneHot: Maker = (random, vocabulary) => pointLaw(random.int(0, vocabulary - 1))
const holey: Maker = (random, vocabulary) => {
  const kept = random.int(0, vocabulary - 1)
  return lawOf(
    Array.from({ length: vocabulary }, (_, token) => (token === kept || random.chance(0.5) ? random.next() : 0)),
  )
}

const kinds: Readonly<Record<string, readonly [target: Maker, draft: Maker]>> = {
  'both dense': [dense, dense],
  'both with zeros': [holey, holey],
  'a sure target': [oneHot, dense],
  'a sure draft': [dense, oneHot],
  'both sure': [oneHot, oneHot],
}

/** Nothing awkward: where a mistake has to show. */
export function denseModels(vocabulary: number): Models {
  return {
    name: `${vocabulary} tokens`,
    target: modelOf(dense, vocabulary, 'target'),
    draft: modelOf(dense, vocabulary, 'draft'),
  }
}

export function generatedModels(vocabulary: number): Models[] {
  const different = Object.entries(kinds).map(([name, [target, draft]]) => ({
    name: `${name}, ${vocabulary} tokens`,
    target: modelOf(target, vocabulary, 'target'),
    draft: modelOf(draft, vocabulary, 'draft'),
  }))
  const same = modelOf(dense, vocabulary, 'same')
  return [...different, { name: `draft and target are equal, ${vocabulary} tokens`, target: same, draft: same }]
}

function modelOf(make: Maker, vocabulary: number, name: string): Model {
  const laws = new Map<string, Law>()
  return (path) => {
    const key = path.join()
    const law = laws.get(key) ?? make(createRandom(vocabulary).fork(`${name}/${key}`), vocabulary)
    laws.set(key, law)
    return law
  }
}

/** A target's and a draft's law at one place, of all the kinds in turn. */
export function generatedLaws(random: Random, vocabulary: number): [target: Law, draft: Law] {
  const [target, draft] = random.pick(Object.values(kinds))
  return [target(random, vocabulary), draft(random, vocabulary)]
}
