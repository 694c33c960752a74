/**
 * The whole system under seeded faults. `PACELINE_SIMULATE_SEEDS=5000` tries more seeds, `PACELINE_SIMULATE_SEED=123` one.
 * A seed that fails is printed; it goes into `regressions` with what it found.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { planFaults } from './faultPlan.ts'
import { createRandom, withSeed } from './random.ts'
import { referencesOf, run, type RunResult } from './run.ts'
import { asksOf, catalogue, type References, type Shape } from './workload.ts'

/** Seeds that once failed, and why. */
const regressions: readonly (readonly [seed: number, found: string])[] = []

const one = process.env['PACELINE_SIMULATE_SEED']
const count = Number(process.env['PACELINE_SIMULATE_SEEDS'] ?? 200)
const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)]
const seedsPerTest = 25

let shapes: Shape[]
let references: References
const outcomes = new Map<string, number>()

beforeAll(async () => {
  shapes = catalogue(createRandom(42))
  references = await referencesOf(shapes, createRandom(43))
})

function runSeed(seed: number): Promise<RunResult> {
  return withSeed(seed, async (random) => {
    const duringMs = random.pick([2_000, 6_000])
    const perSecond = random.pick([4, 15, 30])
    const asks = asksOf(random.fork('asks'), shapes, { count: Math.ceil((duringMs / 1_000) * perSecond), perSecond })
    const faults = planFaults(random.fork('faults'), duringMs)
    const result = await run({ random: random.fork('run'), asks, faults, references })
    for (const { ends } of result.told) count1(ends[0])
    if (result.mistakes.length > 0)
      throw new Error(`${result.mistakes.length} mistakes:\n  ${result.mistakes.slice(0, 12).join('\n  ')}`)
    return result
  })
}

function count1(end: RunResult['told'][number]['ends'][number] | undefined): void {
  if (end === undefined) return
  const { outcome } = end
  const tag = outcome.kind === 'failed' ? outcome.failure.code : outcome.kind
  outcomes.set(tag, (outcomes.get(tag) ?? 0) + 1)
}

test('a reference run without faults completes every shape, and a second one gives the same text', async () => {
  expect([...references.values()].every(({ tokens }) => tokens.every((list) => list.length > 0))).toBe(true)
  expect(await referencesOf(shapes, createRandom(44))).toEqual(references)
})

test('the same seed gives the same history', async () => {
  const history = ({ told, world }: RunResult) => [told.map(({ ends, texts }) => [ends, texts]), world.witness.counts]
  expect(history(await runSeed(7))).toEqual(history(await runSeed(7)))
})

describe.runIf(regressions.length > 0)('seeds that once failed', () => {
  test.each(regressions)('seed %i: %s', async (seed) => {
    await runSeed(seed)
  })
})

describe('whatever breaks: one outcome each, no token lost or doubled, nothing left behind', () => {
  const groups = Array.from({ length: Math.ceil(seeds.length / seedsPerTest) }, (_, i) =>
    seeds.slice(i * seedsPerTest, (i + 1) * seedsPerTest),
  )
  test.each(groups.map((group) => [group[0], group.at(-1), group] as const))('seeds %i to %i', async (_, __, group) => {
    for (const seed of group) await runSeed(seed)
  })

  test('most requests complete all the same, and every kind of failure was met', () => {
    const total = [...outcomes.values()].reduce((sum, n) => sum + n, 0)
    console.info(`${total} requests: ${[...outcomes].map(([tag, n]) => `${tag} ${n}`).join(', ')}`)
    if (seeds.length < 50) return
    expect((outcomes.get('completed') ?? 0) / total).toBeGreaterThan(0.4)
    for (const tag of ['cancelled', 'refused', 'expired', 'worker-lost', 'broken', 'bus-unavailable'])
      expect([...outcomes.keys()]).toContain(tag)
  })
})
