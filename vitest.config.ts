import { defineConfig } from 'vitest/config'
import LongestFirst from './test/cluster/kit/sequencer.ts'

// One project per kind of test, from the least powerful to the most: `npm test` runs all of them,
// `npm run check` only those that need nothing installed. Kinds of a later group wait for the earlier ones: what measures time
// or starts whole systems must not share the machine with a thousand unit tests. What only computes, or waits for no clock but its
// own, is one group: a real model on one processor leaves the others to the small files.
const project = (name: string, groupOrder: number, include: string[], options: object = {}) => ({
  extends: true as const,
  test: { name, include, sequence: { groupOrder }, ...options },
})

/** Files after files in one process: a new one for each file cost more than what most of them test. Nothing in them is global. */
const oneByOne = { isolate: false }
const ofSystems = { testTimeout: 180_000, hookTimeout: 300_000 }
/** Integration tests that count milliseconds, bytes or losses of a running system: one at a time. */
const alone = ['cancel', 'dashboards', 'goodput', 'hostile', 'memory', 'natsClient', 'natsRestart'].map(
  (name) => `test/integration/${name}.test.ts`,
)

export default defineConfig({
  test: {
    passWithNoTests: true,
    sequence: { sequencer: LongestFirst },
    // vitest would leave one processor unused, which is half of two.
    maxWorkers: '100%',
    // A bound on a hang, not a measure of speed: on a cold machine under `npm run check` five seconds are soon gone.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      project(
        'unit',
        0,
        ['{contracts,algorithms,runtime,operator,router,gpu-worker,cli,charts,images}/**/*.test.ts'],
        oneByOne,
      ),
      project('tidy', 0, ['test/tidy/**/*.test.ts'], oneByOne),
      project('simulate', 0, ['test/simulate/**/*.test.ts'], { ...oneByOne, testTimeout: 60_000 }),
      project('behaviour', 0, ['test/behaviour/**/*.test.ts'], { testTimeout: 120_000 }),
      project('integration', 1, ['test/integration/**/*.test.ts'], { ...ofSystems, exclude: alone, maxWorkers: 2 }),
      project('alone', 2, alone, { ...ofSystems, fileParallelism: false }),
      project('cluster', 3, ['test/cluster/**/*.test.ts'], {
        ...ofSystems,
        // They wait much of the time: for pods, probes, leases and grace periods. A third at a time would make two cores so busy
        // that NATS misses its pings.
        maxWorkers: 2,
        globalSetup: ['test/cluster/kit/globalSetup.ts'],
      }),
    ],
  },
})
