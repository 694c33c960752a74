/** A ModelDeployment object as desired state: its spec parsed once per generation, or why it cannot be taken. Pure. */
import { DeploymentName, type Revision } from '#contracts/ids.ts'
import type { WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { revisionOf } from '../../core/revision.ts'
import { type DeploymentObject, nameOf, uidOf } from './objects.ts'
import { imageOf } from './podSpec.ts'

export interface KnownSpec {
  readonly spec: ModelDeploymentSpec
  readonly image: string
  readonly revision: Revision
}

export interface KnownDeployment {
  readonly name: DeploymentName
  readonly object: DeploymentObject
  /** The newest spec that could be taken; null: none so far. */
  readonly known: KnownSpec | null
  /** Why the newest one cannot be; empty when it can. */
  readonly problems: readonly string[]
}

/** Null: its name cannot be one of ours (the CRD refuses such names). */
export function readDeployment(
  object: DeploymentObject,
  before: KnownDeployment | undefined,
  config: WorkerPodConfig,
): KnownDeployment | null {
  if (before !== undefined && isSameSpec(before.object, object)) return { ...before, object }
  const name = DeploymentName.safeParse(nameOf(object))
  if (!name.success) return null
  const parsed = ModelDeploymentSpec.safeParse(object.spec)
  if (parsed.success) return { name: name.data, object, known: knownSpec(parsed.data, config), problems: [] }
  const problems = parsed.error.issues.map(({ path, message }) => `${['spec', ...path].join('.')}: ${message}`)
  const kept = before !== undefined && uidOf(before.object) === uidOf(object) ? before.known : null
  return { name: name.data, object, known: kept, problems }
}

export function knownSpec(spec: ModelDeploymentSpec, config: WorkerPodConfig): KnownSpec {
  const image = imageOf(spec, config)
  return { spec, image, revision: revisionOf(spec, image) }
}

/** The API server counts changes of a spec. */
function isSameSpec(a: DeploymentObject, b: DeploymentObject): boolean {
  return uidOf(a) === uidOf(b) && a.metadata?.generation === b.metadata?.generation
}

/** Seconds since the epoch. */
export function createdOf(object: DeploymentObject): number {
  const ms = Date.parse(object.metadata?.creationTimestamp ?? '')
  return Number.isFinite(ms) ? Math.floor(ms / 1_000) : 0
}
