/** Seeded randomness, so that both sides of a comparison get the very same requests at the very same points. Pure. */

export { mulberry32 as seeded } from '../../simulate/random.ts'

/** A whole number from `low` to `high`, both included. */
export const between = (random: () => number, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1))

export function pick<T>(random: () => number, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined) throw new RangeError('nothing to pick from')
  return value
}
