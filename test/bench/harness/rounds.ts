/**
 * Interleaved rounds: A B A B …, the order turned every round, so that a machine that gets slower or busier hits all sides alike.
 *
 * A round in which other processes kept more than `noiseMax` processors busy is marked; medians use the quiet ones where there
 * are at least three, else all of them, and the report says which.
 */
import type { Watched } from './processes.ts'
import { type Spread, spread } from './statistics.ts'

export const noiseMax = 0.25

export interface Round<T> extends Watched<T> {
  readonly number: number
}

export interface Side<T> {
  readonly name: string
  /** `round` seeds the requests: equal for all sides of a round, different between rounds. */
  run(round: number): Promise<Watched<T>>
}

export async function interleave<T>(
  sides: readonly Side<T>[],
  rounds: number,
  onRound: (side: string, round: Round<T>) => void = () => {},
): Promise<Map<string, Round<T>[]>> {
  const results = new Map<string, Round<T>[]>(sides.map((side) => [side.name, []]))
  for (let number = 0; number < rounds; number += 1) {
    for (const side of number % 2 === 0 ? sides : [...sides].reverse()) {
      const round = { ...(await side.run(number)), number }
      results.get(side.name)?.push(round)
      onRound(side.name, round)
    }
  }
  return results
}

export function quietRounds<T>(rounds: readonly Round<T>[]): readonly Round<T>[] {
  const quiet = rounds.filter((round) => round.others <= noiseMax)
  return quiet.length >= 3 ? quiet : rounds
}

export function summarise<T>(rounds: readonly Round<T>[], figure: (round: Round<T>) => number): Spread {
  return spread(quietRounds(rounds).map(figure).filter(Number.isFinite))
}

/**
 * Ratio of two sides, pair by pair within each round: what both had to bear at nearly the same time. Pairs in which either was
 * noisy are left out where three quiet pairs remain.
 */
export function ratio<T>(a: readonly Round<T>[], b: readonly Round<T>[], figure: (round: Round<T>) => number): Spread {
  const pairs = comparablePairs(a, b)
  return spread(pairs.map(([left, right]) => figure(left) / figure(right)).filter(Number.isFinite))
}

/** Rounds that both sides have; those in which either was noisy are left out where three quiet pairs remain. */
export function comparablePairs<T>(a: readonly Round<T>[], b: readonly Round<T>[]): [Round<T>, Round<T>][] {
  const pairs = a.flatMap((left): [Round<T>, Round<T>][] => {
    const right = b.find((round) => round.number === left.number)
    return right === undefined ? [] : [[left, right]]
  })
  const quiet = pairs.filter((pair) => pair.every(({ others }) => others <= noiseMax))
  return quiet.length >= 3 ? quiet : pairs
}
