/**
 * The revision of a deployment: a hash of everything in its spec that a worker is started with, so that exactly those
 * changes need new workers. Where the same content comes from, how many workers there are and what routers alone read
 * (names, queue bounds) is not in it.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { modelFileOf } from './observed.ts'

/** One revision that a deployment has had, with everything that is needed to go back to it. */
export const RevisionEntry = z.object({
  revision: Revision,
  spec: ModelDeploymentSpec,
  /** When it was first asked for; ISO 8601, for people. */
  createdAt: z.string(),
  /** `current`: the newest, still on trial. `good`: it was fully rolled out once. `failed`: given up. */
  state: z.enum(['current', 'good', 'failed']),
  /** Why it failed; empty otherwise. */
  message: z.string().default(''),
})
export type RevisionEntry = z.infer<typeof RevisionEntry>

/** Newest first, at most `limits.operator.revisionsMax`. A platform stores it as JSON and decides nothing by it. */
export type RevisionHistory = readonly RevisionEntry[]

/** What a platform stored. Entries that this version does not understand are left out: they cannot be started either. */
export function parseHistory(stored: unknown): RevisionHistory {
  if (!Array.isArray(stored)) return []
  return stored.flatMap((entry) => RevisionEntry.safeParse(entry).data ?? []).slice(0, limits.operator.revisionsMax)
}

export function revisionOf(spec: ModelDeploymentSpec): Revision {
  const { engine, compression, slo } = spec
  const needsNewWorkers = { target: modelFileOf(spec)?.sha256 ?? null, engine, compression, slo }
  return Revision.parse(createHash('sha256').update(canonicalJson(needsNewWorkers)).digest('hex').slice(0, 10))
}

/** JSON with sorted keys: equal values give equal text, whatever the order of the keys in the file. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
