/**
 * What the operator of the local platform is told by whoever starts it, as JSON in the environment variable
 * `PACELINE_OPERATOR`. Secrets come in their own variables, never in here.
 */
import * as z from 'zod'
import { limits } from './limits.ts'

export const OperatorConfig = z.strictObject({
  /** A YAML or JSON file, or a folder of them: ModelDeployments and API key Secrets. Watched while running. */
  resources: z.string().min(1),
  nats: z.strictObject({ url: z.string().min(1), user: z.string().min(1) }),
  /** The NATS user that workers log in as; their password comes in `PACELINE_WORKER_NATS_PASSWORD`. */
  workerNatsUser: z.string().min(1).default('worker'),
  /** Logs of the workers. */
  stateDir: z.string().min(1),
  /** Model files, cost curves, reproducibility proofs: safe to delete, dear to fetch again. */
  cacheDir: z.string().min(1),
  http: z
    .strictObject({ host: z.string().default('127.0.0.1'), port: z.int().min(0).max(65_535).default(0) })
    .prefault({}),
  /** Where clients reach the router; published as `status.url`. */
  routerUrl: z.string(),
  /** Program and file that a worker is started with. Default: this Node and this checkout's worker. */
  node: z.string().min(1).optional(),
  workerMain: z.string().min(1).optional(),
  /** Never fetch a model: only what the cache (or a `file://` source) holds. */
  offline: z.boolean().default(false),
  /** A worker that was asked to drain is killed after this. */
  drainGraceMs: z
    .int()
    .min(0)
    .default(limits.drain.graceMs + limits.operator.killMarginMs),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})
export type OperatorConfig = z.infer<typeof OperatorConfig>
export const operatorConfigVariable = 'PACELINE_OPERATOR'
export const workerNatsPasswordVariable = 'PACELINE_WORKER_NATS_PASSWORD'
