import { defineConfig } from 'vitest/config'
import LongestFirst from './test/cluster/kit/sequencer.ts'

// One project per kind of test, from the least powerful to the most: `npm test` runs all of them,
// `npm run check` only those that need nothing installed. Kinds of a later group wait for the earlier ones: what measures time
// or starts whole systems must not share the machine with a thousand unit tests.
const project = (name: string, groupOrder: number, include: string[], options: object = {}) => ({
  extends: true as const,
  test: { name, include, sequence: { groupOrder }, ...options },
})

const ofSystems = { testTimeout: 180_000, hookTimeout: 300_000 }
/** Integration tests that count milliseconds, bytes or losses of a running system: one at a time. */
const alone = ['cancel', 'dashboards', 'goodput', 'hostile', 'memory', 'natsClient', 'natsRestart'].map(
  (name) => `test/integration/${name}.test.ts`,
)

export default defineConfig({
  test: {
    passWithNoTests: true,
    sequence: { sequencer: LongestFirst },
    // A bound on a hang, not a measure of speed: on a cold machine under `npm run check` five seconds are soon gone.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      project('unit', 0, ['{contracts,algorithms,runtime,operator,router,gpu-worker,cli,charts,images}/**/*.test.ts']),
      project('tidy', 0, ['test/tidy/**/*.test.ts']),
      project('simulate', 1, ['test/simulate/**/*.test.ts'], { testTimeout: 60_000 }),
      project('behaviour', 2, ['test/behaviour/**/*.test.ts'], { testTimeout: 120_000, fileParallelism: false }),
      project('integration', 3, ['test/integration/**/*.test.ts'], { ...ofSystems, exclude: alone, maxWorkers: 2 }),
      project('alone', 4, alone, { ...ofSystems, fileParallelism: false }),
      project('cluster', 5, ['test/cluster/**/*.test.ts'], {
        ...ofSystems,
        // They wait much of the time: for pods, probes, leases and grace periods. A third at a time would make two cores so busy
        // that NATS misses its pings.
        maxWorkers: 2,
        globalSetup: ['test/cluster/kit/globalSetup.ts'],
      }),
    ],
  },
})
