/**
 * What the three generating endpoints have in common once a body is parsed: which model it is for, and the values that the
 * router itself must supply.
 */
import { Failure } from '#contracts/failure.ts'
import type { Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Sampling } from '#contracts/sampling.ts'

export interface ParseContext {
  /** By served name; undefined where there is none. */
  readonly model: (name: string) => ModelRecord | undefined
  /** For requests that name no seed. */
  readonly seed: () => number
}

/** A body as the router understands it. */
export interface ParsedRequest {
  readonly model: ModelRecord
  /** As the client named it: repeated in the answer. */
  readonly modelName: string
  readonly works: readonly Work[]
  readonly choices: number
  readonly sampling: Sampling
  readonly streaming: boolean
  readonly includeUsage: boolean
}

export function findModel(context: ParseContext, name: string): ModelRecord {
  const record = context.model(name)
  if (record !== undefined) return record
  const message = `the model '${name.slice(0, 128)}' does not exist here; GET /v1/models lists those that do`
  throw new Failure('model-not-found', message, { param: 'model' })
}
