/**
 * What stands in the JetStream KV buckets (`contracts/subjects.ts`): the state that routers and workers share with the operator.
 */
import * as z from 'zod'
import { CascadeGuarantee, CascadeReference, JudgePrior } from './calibration.ts'
import { DeploymentName, Revision, RouteName, TenantId, WorkerId } from './ids.ts'
import { LiveSpeculation } from './resources/modelDeployment.ts'
import { cascadeWhenFull, earlyTokensDefault, streamingModes } from './resources/modelRoute.ts'
import { ModelDigest } from './riskCalibration.ts'
import { RiskPolicy } from './riskPolicy.ts'
import { ChosenDefaults } from './sampling.ts'

/**
 * Bucket `models`, key = deployment name. What routers must know of a deployment, and what its workers follow without a restart
 * (`slo`, `speculation`); written by the operator only.
 */
export const ModelRecord = z.object({
  deployment: DeploymentName,
  /** Names clients may use, unique over all deployments; the deployment's own name is one of them. */
  servedNames: z.array(z.string().min(1)),
  revision: Revision,
  /** Seconds since the epoch: OpenAI's `created`. */
  created: z.int(),
  contextTokensMax: z.int().positive(),
  capabilities: z.object({
    chat: z.boolean(),
    completions: z.boolean(),
    embeddings: z.boolean(),
    grammar: z.boolean(),
  }),
  simulated: z.boolean(),
  /** What answers, by its file's content; absent: an older operator. */
  model: ModelDigest.optional(),
  reproducible: z.enum(['no', 'proving', 'proved', 'refuted']),
  slo: z.object({
    ttftMs: z.number().positive(),
    tpotMs: z.number().positive(),
    /** Absent: `slots`. */
    admission: z.enum(['slots', 'goodput']).optional(),
  }),
  /** What requests get that do not say it. */
  sampling: ChosenDefaults.optional(),
  /** Absent: an older operator, which changes none of it live. */
  speculation: LiveSpeculation.optional(),
  /** What clients may ask for as `model:name`. `refusal`: it is in the resource, and no worker can use it. */
  experts: z.array(z.object({ name: z.string(), refusal: z.string().optional() })).default([]),
  /** Chooses the expert of requests that name none: any ready worker answers for it. Absent: nobody chooses. */
  gate: z.object({ sha256: z.string(), probabilityMin: z.number() }).optional(),
  queue: z.object({ requestsMax: z.int().positive(), bytesMax: z.int().positive() }),
  /** `fromZero`: without any worker, requests are held (at most `holdMsMax`) instead of refused, and one is started. Absent: not so. */
  scaling: z.object({ fromZero: z.boolean(), holdMsMax: z.number().positive() }).optional(),
})
export type ModelRecord = z.infer<typeof ModelRecord>

/**
 * Steps in the order in which they are asked. A calibration that is missing, bad or stale is in here as a guarantee that does not hold:
 * a router then always escalates, and never has to judge a document itself.
 */
export const CascadePolicy = z.object({
  kind: z.literal('cascade'),
  steps: z
    .array(
      z.object({
        deployment: DeploymentName,
        /** When the answer is kept. Null: the last step, which keeps every answer. */
        accept: z
          .object({
            judge: DeploymentName,
            /** Empty where there are none that can be understood; the guarantee then does not hold. */
            references: z.array(CascadeReference),
            /** Null: nobody asked the judge. */
            prior: JudgePrior.nullable(),
            guarantee: CascadeGuarantee,
          })
          .nullable(),
      }),
    )
    .min(2),
  /** Share of requests that may escalate, over any run of them. */
  escalationRateMax: z.number().gt(0).max(1),
  whenFull: z.enum(cascadeWhenFull),
  streaming: z.object({ mode: z.enum(streamingModes), tokens: z.int().positive().default(earlyTokensDefault) }),
  /** Judge, decide and record; the answer is the last step's. */
  shadow: z.boolean(),
})
export type CascadePolicy = z.infer<typeof CascadePolicy>

/**
 * Bucket `routes`, key = name of the ModelRoute; written by the operator only. Here stand the routes that are carried out and own their
 * name: one that is only checked, or whose name somebody else has, is not here.
 */
export const RouteRecord = z.object({
  route: RouteName,
  /** The model name that clients use. */
  name: z.string().min(1),
  /** Seconds since the epoch: OpenAI's `created`. */
  created: z.int(),
  policy: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('direct'), deployment: DeploymentName }),
    z.object({
      kind: z.literal('weighted'),
      /** Each deployment once, in the order of the resource; at least one weight is over 0. */
      targets: z.array(z.object({ deployment: DeploymentName, weight: z.number().min(0) })).min(1),
    }),
    CascadePolicy,
    RiskPolicy,
  ]),
})
export type RouteRecord = z.infer<typeof RouteRecord>

/** Bucket `keys`, key = lower-case hex SHA-256 of the API key. While the bucket is empty the router is open. */
export const KeyRecord = z.object({
  tenant: TenantId,
  /** Share of capacity in the fair queue, relative to other tenants. */
  weight: z.number().positive(),
  priority: z.int(),
})
export type KeyRecord = z.infer<typeof KeyRecord>

/** An adapter, or the gate, that a worker cannot use and goes on without; `reason` as in conditions. */
export const ExpertRefusal = z.object({
  /** Null: the gate. */
  expert: z.string().nullable(),
  reason: z.enum(['OtherBase', 'NoAdapter', 'TooLarge', 'NotLoaded', 'GateUnusable']),
  message: z.string(),
})
export type ExpertRefusal = z.infer<typeof ExpertRefusal>

/** Bucket `workers`, key = worker id, TTL `limits.worker.registrationTtlMs`. Removed by the operator as soon as the process is known dead. */
export const WorkerRecord = z.object({
  worker: WorkerId,
  deployment: DeploymentName,
  revision: Revision,
  pid: z.int().nonnegative(),
  version: z.string(),
  metricsUrl: z.string(),
  engine: z.object({
    kind: z.enum(['llamacpp', 'simulated']),
    simulated: z.boolean(),
    backend: z.string(),
    library: z.string(),
    threads: z.int().nonnegative(),
    kvCacheType: z.string(),
    reproducible: z.enum(['no', 'proving', 'proved', 'refuted']),
  }),
  slots: z.int().positive(),
  contextTokensMax: z.int().positive(),
  capabilities: ModelRecord.shape.capabilities,
  /** Of the experts that it was started with. Absent: an older worker, which has none. */
  experts: z
    .object({
      usable: z.array(z.string()),
      refused: z.array(ExpertRefusal),
      /** null: the pair has none, or it is refused. */
      gate: z.object({ sha256: z.string() }).nullable(),
    })
    .optional(),
  /** How it drafts. Absent: an older worker, which does not. */
  speculation: z
    .object({
      ...LiveSpeculation.shape,
      /** Who may be asked for tokens now. */
      proposers: z.array(z.string()),
      /** Who was given up, and why; everything goes on without them. */
      dropped: z.array(z.object({ proposer: z.string(), reason: z.string(), message: z.string() })),
    })
    .optional(),
})
export type WorkerRecord = z.infer<typeof WorkerRecord>
