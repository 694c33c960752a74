/** One registry per process of tests: hundreds of simulated processes need no own one, and building one is slow. */
import { routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { createMetrics, type Metrics } from '#runtime/metrics.ts'

const shared: { router?: Metrics<typeof routerMetrics>; worker?: Metrics<typeof workerMetrics> } = {}

export function routerMetricsShared(): Metrics<typeof routerMetrics> {
  shared.router ??= createMetrics(routerMetrics, { processMetrics: false })
  return shared.router
}

export function workerMetricsShared(): Metrics<typeof workerMetrics> {
  shared.worker ??= createMetrics(workerMetrics, { processMetrics: false })
  return shared.worker
}
