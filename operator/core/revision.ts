/**
 * The revision of a deployment: a hash of everything in its spec that a worker is started with, so that exactly those
 * changes need new workers. Where the same content comes from, how many workers there are and what routers alone read
 * (names, queue bounds) is not in it.
 */
import { createHash } from 'node:crypto'
import { Revision } from '#contracts/ids.ts'
import type { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { modelFileOf } from './observed.ts'

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
