/**
 * Conditions as data: what is true of a deployment now becomes the list that users read, in Kubernetes' form.
 *
 * `lastTransitionTime` moves only when a condition's status changes, so that it says since when; reasons are constants.
 */
import type { Condition, ConditionType } from '#contracts/resources/modelDeployment.ts'

export interface Finding {
  readonly type: ConditionType
  readonly status: Condition['status']
  readonly reason: string
  readonly message: string
}

export function finding(type: ConditionType, status: boolean | 'unknown', reason: string, message: string): Finding {
  return { type, status: status === 'unknown' ? 'Unknown' : status ? 'True' : 'False', reason, message }
}

/** `nowIso` is the wall clock, which only people read. */
export function conditionsOf(
  findings: readonly Finding[],
  before: readonly Condition[],
  at: { readonly nowIso: string; readonly generation: number },
): Condition[] {
  return findings.map((found) => {
    const previous = before.find((condition) => condition.type === found.type)
    const lastTransitionTime = previous?.status === found.status ? previous.lastTransitionTime : at.nowIso
    return { ...found, lastTransitionTime, observedGeneration: at.generation }
  })
}
