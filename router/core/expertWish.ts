/**
 * What a client's model name says of an expert: `model:expert` names one, `model:base` wants none, and the plain name leaves it to the
 * pair's gate where it has one. Pure.
 */
import { Failure } from '#contracts/failure.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { baseExpert } from '#contracts/resources/modelDeployment.ts'

export type ExpertWish =
  /** The model as it is. */
  | { readonly kind: 'none' }
  | { readonly kind: 'named'; readonly expert: string }
  /** Whatever the pair's gate says of the prompt. */
  | { readonly kind: 'gate' }

export interface SplitName {
  readonly model: string
  /** What stands behind the last colon; null: nothing was asked for. */
  readonly expert: string | null
}

/** A name that somebody has is never split: served names may hold colons. */
export function splitName(name: string, isKnown: (name: string) => boolean): SplitName {
  const at = name.lastIndexOf(':')
  if (at < 0 || isKnown(name)) return { model: name, expert: null }
  return { model: name.slice(0, at), expert: name.slice(at + 1) }
}

export const hasExpert = ({ experts }: Pick<ModelRecord, 'experts'>, expert: string | null) =>
  expert === null || expert === baseExpert || experts.some(({ name }) => name === expert)

/** Throws the Failure to answer with where the pair has no such expert, or cannot use it. */
export function wishOf(record: ModelRecord, expert: string | null): ExpertWish {
  if (expert === null) return record.gate === undefined ? { kind: 'none' } : { kind: 'gate' }
  if (!hasExpert(record, expert)) throw noSuchExpert(record.deployment, expert, record.experts)
  if (expert === baseExpert) return { kind: 'none' }
  const refusal = record.experts.find(({ name }) => name === expert)?.refusal
  if (refusal === undefined) return { kind: 'named', expert }
  throw new Failure('model-unusable', `the expert '${expert}' of ${record.deployment} cannot be used: ${refusal}`, {
    param: 'model',
  })
}

export function noSuchExpert(model: string, expert: string, experts: ModelRecord['experts']): Failure {
  const names = experts.map(({ name }) => name).join(', ')
  const known = experts.length === 0 ? 'it has none' : `it has ${names}, and ${baseExpert} for the model without any`
  return new Failure('model-not-found', `${model} has no expert '${expert.slice(0, 64)}': ${known}`, { param: 'model' })
}
