import { defineConfig } from 'vitest/config'

// One project per kind of test, from the least powerful to the most: `npm test` runs all of them,
// `npm run check` only those that need nothing installed.
const project = (name: string, include: string[], options: object = {}) => ({
  extends: true as const,
  test: { name, include, ...options },
})

export default defineConfig({
  test: {
    passWithNoTests: true,
    projects: [
      project('unit', ['{contracts,algorithms,runtime,operator,router,gpu-worker,cli}/**/*.test.ts']),
      project('tidy', ['test/tidy/**/*.test.ts']),
      project('simulate', ['test/simulate/**/*.test.ts'], { testTimeout: 60_000 }),
      project('behaviour', ['test/behaviour/**/*.test.ts'], { testTimeout: 120_000, fileParallelism: false }),
      project('integration', ['test/integration/**/*.test.ts'], {
        testTimeout: 180_000,
        hookTimeout: 300_000,
        fileParallelism: false,
      }),
    ],
  },
})
