/**
 * Conditions as data: what is true of a deployment now becomes the list that users read, in Kubernetes' form.
 *
 * `lastTransitionTime` moves only when a condition's status changes, so that it says since when; reasons are constants.
 */
import type { Condition, ConditionType } from '#contracts/resources/modelDeployment.ts'
import { shortened } from './shortened.ts'

/** As the resources' definitions have it. */
const messageCharactersMax = 32_768

/** `Type`: those of a deployment, or of another resource. */
export interface Finding<Type extends string = ConditionType> {
  readonly type: Type
  readonly status: Condition['status']
  readonly reason: string
  readonly message: string
}

/** A condition of a resource with such types. */
export type Judged<Type extends string> = Omit<Condition, 'type'> & { type: Type }

export function finding<Type extends string>(
  type: Type,
  status: boolean | 'unknown',
  reason: string,
  message: string,
): Finding<Type> {
  const said = status === 'unknown' ? 'Unknown' : status ? 'True' : 'False'
  return { type, status: said, reason, message: shortened(message, messageCharactersMax) }
}

/** `nowIso` is the wall clock, which only people read. */
export function conditionsOf<Type extends string>(
  findings: readonly Finding<Type>[],
  before: readonly Judged<Type>[],
  at: { readonly nowIso: string; readonly generation: number },
): Judged<Type>[] {
  return findings.map((found) => {
    const previous = before.find((condition) => condition.type === found.type)
    const lastTransitionTime = previous?.status === found.status ? previous.lastTransitionTime : at.nowIso
    return { ...found, lastTransitionTime, observedGeneration: at.generation }
  })
}
