/**
 * Seeded randomness for simulations: the same seed gives the same run, on every machine.
 *
 * `fork` gives independent streams by name, so that drawing more in one place does not change what another place sees. A run
 * that fails names its seed (`withSeed`), and that seed goes into the list of regressions of its test.
 */
export interface Random {
  readonly seed: number
  /** 0 ≤ x < 1. */
  next(): number
  /** A whole number, both ends included. */
  int(min: number, max: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  /** Exponentially distributed: the waits of a Poisson process. */
  exponential(mean: number): number
  /** A stream of its own, fixed by this seed and the name. */
  fork(name: string): Random
}

export function createRandom(seed: number): Random {
  const next = mulberry32(seed >>> 0)
  // The first draws of neighbouring seeds are alike; throw them away.
  for (let i = 0; i < 4; i++) next()
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return {
    seed,
    next,
    int,
    chance: (probability) => next() < probability,
    pick(list) {
      const item = list[int(0, list.length - 1)]
      if (item === undefined) throw new Error('pick from an empty list')
      return item
    },
    exponential: (mean) => -mean * Math.log(1 - next()),
    fork: (name) => createRandom(hash(`${seed}/${name}`)),
  }
}

/** Runs `run` and names the seed in whatever it throws. */
export async function withSeed<T>(seed: number, run: (random: Random) => Promise<T> | T): Promise<T> {
  try {
    return await run(createRandom(seed))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`seed ${seed}: ${text}`, { cause: error })
  }
}

/** Small, fast, good enough for arrivals and choices. */
export function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function hash(text: string): number {
  let value = 0x81_1c_9d_c5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01_00_01_93)
  return value >>> 0
}
