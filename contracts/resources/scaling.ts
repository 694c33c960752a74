/**
 * How many workers, and how a change of them goes: scaling, rollout, and the one function that tells a planner which of the two
 * ways of scaling a pair has.
 *
 * `replicas` has no default in the schema: a default would be there beside `scaling` and look like somebody's wish. Absent both,
 * a pair has one worker (`replicasDefault`).
 */
import * as z from 'zod'
import { ruled } from './rules.ts'

export const replicasDefault = 1
const replicasMax = 1_000

export const Replicas = z.int().min(0).max(replicasMax)

const pace = (stabilizationSeconds: number, periodSeconds: number, stepMax: number) =>
  z.strictObject({
    stabilizationWindowSeconds: z
      .int()
      .min(0)
      .max(3_600)
      .default(stabilizationSeconds)
      .describe('The most cautious recommendation of this window counts.'),
    periodSeconds: z.int().min(1).max(3_600).default(periodSeconds).describe('Span in which `stepMax` holds.'),
    stepMax: z
      .int()
      .min(1)
      .max(replicasMax)
      .default(stepMax)
      .describe('Workers changed in one `periodSeconds` at most.'),
  })

export const Scaling = ruled(
  z.strictObject({
    minReplicas: z
      .int()
      .min(0)
      .max(replicasMax)
      .default(1)
      .describe('0 lets the pair sleep; a request that comes then is held until a worker is up.'),
    maxReplicas: z.int().min(1).max(replicasMax).describe('Never more workers than this (surge of a rollout apart).'),
    mode: z
      .enum(['auto', 'advisory'])
      .default('auto')
      .describe('`advisory`: what it would do is only said, in the condition `ScalingReady`.'),
    metric: z
      .enum(['goodput', 'queue'])
      .default('goodput')
      .describe('`goodput`: the share of requests that meet the SLO; `queue`: how long requests wait for a worker.'),
    goodputRatioMin: z
      .number()
      .gt(0)
      .max(1)
      .default(0.95)
      .describe('Metric `goodput`: below this share of requests within the SLO workers are added.'),
    queueWaitMsMax: z
      .int()
      .min(1)
      .max(600_000)
      .default(500)
      .describe('Metric `queue`: above this wait in milliseconds (95th percentile) workers are added.'),
    busyRatioMax: z
      .number()
      .gt(0)
      .max(1)
      .default(0.7)
      .describe('A worker is removed only where the slots of the others would then be busy to at most this share.'),
    idleSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(300)
      .describe('Without a request for this long, all workers beyond `minReplicas` go.'),
    behavior: z
      .strictObject({
        scaleUp: pace(0, 15, 4).prefault({}).describe('How fast workers are added.'),
        scaleDown: pace(300, 60, 1).prefault({}).describe('How fast workers are removed.'),
      })
      .prefault({})
      .describe('Windows and steps that keep the number from swinging.'),
  }),
  [
    {
      cel: 'self.minReplicas <= self.maxReplicas',
      message: 'minReplicas must not be over maxReplicas; lower it or raise maxReplicas',
      path: ['minReplicas'],
      holds: ({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas,
    },
  ],
)
export type Scaling = z.infer<typeof Scaling>

export const Rollout = ruled(
  z.strictObject({
    maxSurge: z.int().min(0).max(100).default(1).describe('Workers beyond those asked for while a rollout runs.'),
    maxUnavailable: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('Workers that may be missing while a rollout runs; needs no spare room (GPU) where `maxSurge` is 0.'),
    readyTimeoutSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(900)
      .describe('A new revision without a ready worker after this long (its model in the cache) is rolled back.'),
    automaticRollback: z
      .boolean()
      .default(true)
      .describe('Go back to the revision that served when the new one does not become ready or breaks the guard.'),
    historyMax: z.int().min(1).max(20).default(5).describe('Revisions kept to go back to.'),
    guard: z
      .strictObject({
        goodputDropMax: z
          .number()
          .min(0)
          .max(1)
          .default(0.2)
          .describe('How far the share of requests within the SLO may fall below that before the rollout; 1: any.'),
        requestsMin: z.int().min(1).max(100_000).default(20).describe('Judged only after this many requests.'),
        observeSeconds: z
          .int()
          .min(0)
          .max(3_600)
          .default(60)
          .describe('How long the new revision is watched after its rollout is complete.'),
      })
      .prefault({})
      .describe('When a new revision that is ready counts as worse.'),
  }),
  [
    {
      cel: 'self.maxSurge > 0 || self.maxUnavailable > 0',
      message: 'maxSurge and maxUnavailable must not both be 0: a rollout could never move; set one to 1',
      path: ['maxSurge'],
      holds: ({ maxSurge, maxUnavailable }) => maxSurge > 0 || maxUnavailable > 0,
    },
  ],
)
export type Rollout = z.infer<typeof Rollout>

export type Scale =
  | { readonly kind: 'fixed'; readonly replicas: number }
  | { readonly kind: 'scaled'; readonly scaling: Scaling }

/** How many workers a spec asks for: a number, or bounds between which the autoscaler decides. */
export function scaleOf(spec: {
  readonly replicas?: number | undefined
  readonly scaling?: Scaling | undefined
}): Scale {
  if (spec.scaling !== undefined) return { kind: 'scaled', scaling: spec.scaling }
  return { kind: 'fixed', replicas: spec.replicas ?? replicasDefault }
}
