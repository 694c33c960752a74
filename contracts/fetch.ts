/**
 * The process that fetches one model file for a cluster: what it is told (JSON in `PACELINE_FETCH`), and what it tells while it
 * works. Its secrets come in their own variables.
 */
import * as z from 'zod'
import { ModelFile, Sha256 } from './resources/modelFile.ts'

export const FetchOrder = z.strictObject({
  file: ModelFile,
  /** The folder to fill; the file lies in it as in any model cache. */
  cacheDir: z.string().min(1),
  /** Hosts that `http://` sources may name. */
  plainHttpHosts: z.array(z.string()).default([]),
  /** Progress is told there; nothing depends on it. */
  nats: z.strictObject({ url: z.string(), user: z.string() }),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})
export type FetchOrder = z.infer<typeof FetchOrder>
export const fetchOrderVariable = 'PACELINE_FETCH'

/** fetch → operator, about every second: how far it is. What counts is the end of the process, not this. */
export const FetchReport = z.object({
  sha256: Sha256,
  activity: z.string().max(512),
  bytes: z.number().nonnegative(),
  bytesTotal: z.number().nonnegative().nullable(),
  bytesPerSecond: z.number().nonnegative(),
})
export type FetchReport = z.infer<typeof FetchReport>
