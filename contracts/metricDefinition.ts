/**
 * What a metric is made of, and the bucket lists that several share. The metrics themselves: `metrics.ts`.
 */
export interface MetricDefinition {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly buckets?: readonly number[]
}

export const define = <const M extends MetricDefinition>(metric: M): M => metric

/** vLLM's own buckets, so that panels built for it keep their shape. */
export const buckets = {
  ttft: [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
  ],
  interToken: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80],
  latency: [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680],
  tokens: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000],
  iteration: [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096],
  /** Tokens of one draft. */
  draft: [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64],
  /** What the router itself adds: from 50 µs. */
  overhead: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1],
  /** Deciding without waiting: from 1 µs. */
  decision: [0.000_001, 0.000_002_5, 0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_3, 0.001, 0.004_5, 0.01],
  reconcile: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60],
} as const
