/**
 * What a worker is told by whoever starts it (the operator's platform), as JSON in the environment variable `PACELINE_WORKER`.
 * Secrets (the NATS password) come in their own variables, never in here.
 */
import * as z from 'zod'
import { DeploymentName, Revision, WorkerId } from './ids.ts'
import { limits } from './limits.ts'
import { ModelDeploymentSpec, Speculation } from './resources/modelDeployment.ts'

export const WorkerConfig = z.strictObject({
  worker: WorkerId,
  deployment: DeploymentName,
  revision: Revision,
  /** The verified model file on this machine; null for the simulated engine. */
  modelPath: z.string().nullable(),
  modelSha256: z.string().nullable(),
  /** The verified draft model on this machine; null where the pair has none. */
  draftPath: z.string().nullable().default(null),
  draftSha256: z.string().nullable().default(null),
  engine: ModelDeploymentSpec.shape.engine,
  kvCacheType: z.enum(['auto', 'f16', 'bf16', 'q8_0']),
  /** The verified tri-gram table on this machine; null where the pair has none. */
  tablePath: z.string().nullable().default(null),
  /** The verified file of `paceline calibrate acceptance` on this machine; null where the pair has none. */
  acceptancePath: z.string().nullable().default(null),
  /** Verified adapters on this machine, by the name that requests choose them by; null for the simulated engine. */
  experts: z.array(z.strictObject({ name: z.string(), path: z.string().nullable() })).default([]),
  /** What adapters may take in memory together. */
  expertBytesMax: z.int().min(1).default(limits.experts.residentBytesMax),
  /** The verified pre-gate on this machine; null where the pair has none. */
  gatePath: z.string().nullable().default(null),
  /** Names the gate for routers. */
  gateSha256: z.string().nullable().default(null),
  /** At the start; the pair's record says what holds later (`ModelRecord`). */
  speculation: Speculation.prefault({}),
  slo: ModelDeploymentSpec.shape.slo,
  nats: z.strictObject({ url: z.string(), user: z.string() }),
  /** Loopback port for `/metrics` and health; 0 lets the system choose, and the registration says which. */
  metricsPort: z.int().min(0).max(65_535),
  metricsHost: z.string().default('127.0.0.1'),
  /** Folder for what outlives a process: cost curves, reproducibility proofs. */
  cacheDir: z.string(),
  /** What runs gets this long to finish after SIGTERM; default: `limits.drain.graceMs`. Whoever kills must wait longer. */
  drainGraceMs: z.int().min(0).optional(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})
export type WorkerConfig = z.infer<typeof WorkerConfig>
export const workerConfigVariable = 'PACELINE_WORKER'
export const natsPasswordVariable = 'PACELINE_NATS_PASSWORD'
/**
 * The certificate (PEM text) of the authority that signed the NATS server's; set or not, every part reads it. Text and not a file,
 * so that whoever starts a part (a pod too) needs to mount nothing. Not a secret.
 */
export const natsAuthorityVariable = 'PACELINE_NATS_AUTHORITY'
