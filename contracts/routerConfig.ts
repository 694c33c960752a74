/**
 * What a router is told by whoever starts it, as JSON in the environment variable `PACELINE_ROUTER`. Single variables
 * (`PACELINE_ROUTER_PORT`, …: the table in `router/config.ts`) win over it, so that a person can change one thing.
 * The NATS password comes in its own variable (`PACELINE_NATS_PASSWORD`), never in here.
 */
import * as z from 'zod'
import { RouterId } from './ids.ts'
import { limits } from './limits.ts'

const ms = z.int().min(1).max(86_400_000)

export const RouterLimits = z.strictObject({
  bodyBytesMax: z
    .int()
    .min(1_024)
    .max(64 * 1024 * 1024)
    .default(limits.http.bodyBytesMax),
  headersTimeoutMs: ms.default(limits.http.headersTimeoutMs),
  requestTimeoutMs: ms.default(limits.http.requestTimeoutMs),
  idleTimeoutMs: ms.default(limits.http.idleTimeoutMs),
  connectionsMax: z.int().min(1).max(1_000_000).default(limits.http.connectionsMax),
  slowReaderStallMs: ms.default(limits.http.slowReaderStallMs),
  /** Time to the first token that a request gets when it names none. */
  deadlineMs: ms.default(limits.request.deadlineMsDefault),
  /** A router that is told to end goes on accepting for so long: until every load balancer has forgotten it. */
  drainDelayMs: z.int().min(0).max(600_000).default(0),
  drainGraceMs: ms.default(limits.drain.graceMs),
})
export type RouterLimits = z.infer<typeof RouterLimits>

export const RouterTracing = z.strictObject({
  /** Where an OTLP/HTTP receiver listens (`http://collector:4318`); `/v1/traces` is added. Absent: nothing is traced. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** The same for traces alone, path and all. */
  tracesEndpoint: z.url({ protocol: /^https?$/ }).optional(),
  serviceName: z.string().min(1).max(256).default('paceline-router'),
  /** Of the traces that begin here; one that a client began is kept where it is sampled there. */
  sampleRatio: z.number().min(0).max(1).default(1),
})
export type RouterTracing = z.infer<typeof RouterTracing>

export const RouterConfig = z.strictObject({
  /** Drawn at start where absent: one id is one life of one process. */
  router: RouterId.optional(),
  host: z.string().min(1).default('127.0.0.1'),
  /** 0 lets the system choose; the log line `listening` says which. */
  port: z.int().min(0).max(65_535).default(8080),
  nats: z.strictObject({ url: z.string().min(1), user: z.string() }),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
  /** One log line per request (id, model, outcome, times; never a prompt). Failures of our own are logged in any case. */
  accessLog: z.boolean().default(false),
  /** Folder for what routes keep of their traffic to calibrate with. Absent: nothing is kept, whatever a route asks for. */
  trafficFolder: z.string().min(1).optional(),
  tracing: RouterTracing.prefault({}),
  limits: RouterLimits.prefault({}),
})
export type RouterConfig = z.infer<typeof RouterConfig>
export const routerConfigVariable = 'PACELINE_ROUTER'

/**
 * Flags of the Node that runs a router. Its requests live for milliseconds, so a small young generation loses no time, and
 * without the flag V8 lets it grow to 96 MiB under load: a third of the process.
 */
export const routerNodeFlags: readonly string[] = ['--max-semi-space-size=8']
