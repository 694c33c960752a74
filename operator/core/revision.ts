/**
 * The revision of a deployment: a hash of everything in its spec that a worker is started with, so that exactly those
 * changes need new workers. Where the same content comes from, how many workers there are and what routers alone read
 * (names, queue bounds, defaults of sampling) is not in it. And the history of revisions as a value, which a platform stores.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { acceptanceFileOf, draftFileOf, gateFileOf, modelFileOf, tableFileOf } from './observed.ts'

/** One revision that a deployment has had, with everything that is needed to go back to it. */
export const RevisionEntry = z.object({
  revision: Revision,
  spec: ModelDeploymentSpec,
  /** As `Desired.image`. */
  image: z.string().optional(),
  /** When it was first asked for; ISO 8601, for people. */
  createdAt: z.string(),
  /** `current`: the newest, still on trial. `good`: it was fully rolled out once. `failed`: given up. */
  state: z.enum(['current', 'good', 'failed']),
  /** Why it failed; empty otherwise. */
  message: z.string().default(''),
  /** Share of requests within the SLO just before it was asked for; absent: too few to tell. */
  goodputBefore: z.number().min(0).max(1).optional(),
  /** Crashes in a row that it already had when it was asked for (again): they are not held against this attempt. */
  crashesBefore: z.int().min(0).optional(),
})
export type RevisionEntry = z.infer<typeof RevisionEntry>

/** Newest first, at most `limits.operator.revisionsMax`. A platform stores it as JSON and decides nothing by it. */
export type RevisionHistory = readonly RevisionEntry[]

/** What a platform stored. Entries that this version does not understand are left out: they cannot be started either. */
export function parseHistory(stored: unknown): RevisionHistory {
  if (!Array.isArray(stored)) return []
  return stored.flatMap((entry) => RevisionEntry.safeParse(entry).data ?? []).slice(0, limits.operator.revisionsMax)
}

export function revisionOf(spec: ModelDeploymentSpec, image?: string): Revision {
  const { engine, compression, kvPrediction, resources, podTemplate } = spec
  const needsNewWorkers = {
    target: modelFileOf(spec)?.sha256 ?? null,
    draft: draftFileOf(spec)?.sha256 ?? null,
    table: tableFileOf(spec)?.sha256 ?? null,
    // Left out where there is none, so that pairs without it keep the revisions that they had before it could be said.
    acceptance: acceptanceFileOf(spec)?.sha256,
    experts: spec.experts.map(({ name, adapter }) => ({ name, sha256: adapter.sha256 })),
    gate: gateFileOf(spec)?.sha256,
    expertMemoryMiB: spec.expertMemoryMiB,
    engine,
    compression,
    kvPrediction,
    resources,
    podTemplate,
    image,
  }
  return Revision.parse(createHash('sha256').update(canonicalJson(needsNewWorkers)).digest('hex').slice(0, 10))
}

/** Whatever a rollout is judged by: where it changes, a revision that failed may try again. */
export function isSameAttempt(a: ModelDeploymentSpec, b: ModelDeploymentSpec): boolean {
  return canonicalJson(attemptOf(a)) === canonicalJson(attemptOf(b))
}

function attemptOf(spec: ModelDeploymentSpec): Partial<ModelDeploymentSpec> {
  const {
    replicas: _replicas,
    scaling: _scaling,
    servedNames: _names,
    queue: _queue,
    sampling: _sampling,
    ...attempt
  } = spec
  return attempt
}

/** JSON with sorted keys: equal values give equal text, whatever the order of the keys in the file. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
