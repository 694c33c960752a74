/**
 * What routers are told of a route with the strategy `risk`: its spec, and the calibration from its ConfigMap as the operator understood it.
 *
 * A calibration that is missing or does not fit is in here as none with a reason, and a router then escalates every answer. Whether one
 * fits is said once, in `misfitOf`: the operator asks it for the route's status, the router again of the deployments as they are now.
 */
import * as z from 'zod'
import { CascadeReference } from './calibration.ts'
import { DeploymentName } from './ids.ts'
import { limits } from './limits.ts'
import { repromptModes, RiskLabel, RiskSource, RiskTrafficLog } from './resources/riskRoute.ts'
import { RiskCalibration } from './riskCalibration.ts'

/**
 * `no-calibration`: missing or not understood. `other-model`, `other-embedding`: it was made for another file than answers or embeds now.
 * `other-labels`: its labels are others. `no-embeddings`: the deployment gives none.
 */
export const riskMisfits = [
  'no-calibration',
  'other-model',
  'other-embedding',
  'other-labels',
  'no-embeddings',
] as const
export type RiskMisfit = (typeof riskMisfits)[number]

export const RiskPolicy = z.object({
  kind: z.literal('risk'),
  deployment: DeploymentName,
  escalateTo: DeploymentName,
  /** Whose vectors are read. */
  embedding: DeploymentName,
  answerBelow: z.number().min(0).max(1),
  escalateFrom: z.number().min(0).max(1),
  reprompt: z.enum(repromptModes),
  /** Empty: right and wrong. */
  labels: z.array(RiskLabel).max(limits.risk.labelsMax),
  sources: z.array(RiskSource).max(limits.risk.sourcesMax),
  /** For a source of the kind `metaRanking`; empty: it abstains. */
  references: z.array(CascadeReference).max(limits.calibration.referencesMax),
  calibration: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('made'), document: RiskCalibration }),
    z.object({ kind: z.literal('none'), reason: z.enum(riskMisfits) }),
  ]),
  /** Null: nothing is kept. */
  trafficLog: RiskTrafficLog.nullable(),
  /** Score and record, and answer with `escalateTo` as if the other one were not there. */
  shadow: z.boolean(),
})
export type RiskPolicy = z.infer<typeof RiskPolicy>

/** The labels without which an answer is right or wrong. */
export const plainLabels = ['right', 'wrong'] as const

export const labelNames = (labels: readonly { readonly name: string }[]): readonly string[] =>
  labels.length === 0 ? plainLabels : labels.map(({ name }) => name)

/** Of a deployment, what a calibration may be wrong about; absent `model`: nobody says what it is. */
export interface EmbedsOrAnswers {
  readonly model?: string | undefined
  readonly embeddings: boolean
}

/** Null: it speaks of these. */
export function misfitOf(
  document: RiskCalibration,
  facts: { answers: EmbedsOrAnswers; embeds: EmbedsOrAnswers; labels: readonly string[] },
): Exclude<RiskMisfit, 'no-calibration'> | null {
  const { answers, embeds, labels } = facts
  if (document.model !== answers.model) return 'other-model'
  if (document.embedding.width > 0 && !embeds.embeddings) return 'no-embeddings'
  if (document.embedding.width > 0 && document.embedding.model !== embeds.model) return 'other-embedding'
  const isSame = labels.length === document.labels.length && labels.every((label, i) => label === document.labels[i])
  return isSame ? null : 'other-labels'
}
