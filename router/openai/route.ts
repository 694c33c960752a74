/**
 * What the three generating endpoints have in common once a body is parsed: which model it is for, and the values that the
 * router itself must supply.
 */
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import type { Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { Sampling } from '#contracts/sampling.ts'
import type { SessionFields } from '../core/sessionKey.ts'
import { sessionFields } from './sampling.ts'

/** What of a body says where it goes. */
export interface NamingFields extends SessionFields {
  readonly model: string
}

export const NamingBody = z.object({ model: z.string().min(1).max(256), ...sessionFields })

export interface ParseContext {
  /** Of the deployment that is to answer; undefined where neither a deployment nor a route has the name. */
  readonly model: (named: NamingFields) => ModelRecord | undefined
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

export function findModel(context: ParseContext, named: NamingFields): ModelRecord {
  const record = context.model(named)
  if (record === undefined) throw noSuchModel(named.model)
  return record
}

export function noSuchModel(name: string): Failure {
  const message = `the model '${name.slice(0, 128)}' does not exist here; GET /v1/models lists those that do`
  return new Failure('model-not-found', message, { param: 'model' })
}
