/**
 * What every resource of ours has in common: group and version, metadata, conditions.
 */
import * as z from 'zod'
import { celPattern, hinted, type Rule } from './rules.ts'

export const group = 'paceline.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

export const Metadata = z.object({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a DNS label: lower-case letters, digits and "-"'),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  generation: z.int().optional(),
})

/** What other resources may be called by as well; longer names are refused where the resource itself is judged. */
export const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** Of a resource from which others are made; `nameRule` judges its name. */
export const OwnMetadata = Metadata.extend({ name: z.string() })

/** Names of what is made for a resource are its own, a revision and a few random characters, 63 together. */
export const nameRule: Rule<{ metadata: { name: string } }> = {
  cel: `self.metadata.name.matches('${celPattern(/^[a-z0-9]([a-z0-9-]{0,44}[a-z0-9])?$/)}')`,
  message: 'lower-case letters, digits and "-", at most 46: names of workers and services are made from it',
  path: ['metadata', 'name'],
  holds: ({ metadata }) => /^[a-z0-9]([a-z0-9-]{0,44}[a-z0-9])?$/.test(metadata.name),
}

/** A name by which clients ask for a model. */
export const ServedName = z
  .string()
  .max(128)
  .regex(/^[\w.:/-]{1,128}$/, 'letters, digits and any of _ . : / -')

/** A condition in Kubernetes' form; `Type` is the list of those that the resource may have. */
export function conditionOf<const T extends readonly [string, ...string[]]>(types: z.ZodEnum<{ [K in T[number]]: K }>) {
  return z.object({
    type: types.describe('What is judged.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
      .describe('One word for why.'),
    message: z.string().max(32_768).describe('A sentence for why, and what to change.'),
    lastTransitionTime: hinted(z.string(), { format: 'date-time' }).describe('Since when `status` has been as it is.'),
    observedGeneration: z.int().min(0).describe('The generation of the resource that was judged.'),
  })
}

/** Conditions are merged by type. */
export const conditionsOf = <S extends z.ZodType<{ type: string }>>(condition: S) =>
  hinted(z.array(condition).max(32), { listType: 'map', listMapKeys: ['type'] })
