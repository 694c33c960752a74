/**
 * Names, labels and annotations of everything this operator makes in a cluster. Pure.
 *
 * A selector is a promise: labels that stand in one are never changed afterwards.
 */
import { calibrationKind } from '#contracts/calibration.ts'
import { WorkerId } from '#contracts/ids.ts'
import type { ApiObject, Metadata } from './objects.ts'

export const labels = {
  name: 'app.kubernetes.io/name',
  managedBy: 'app.kubernetes.io/managed-by',
  deployment: 'paceline.dev/deployment',
  revision: 'paceline.dev/revision',
  /** `worker`, `model`, `history`; of Secrets: `api-key`; of ConfigMaps: `calibration`. */
  kind: 'paceline.dev/kind',
  model: 'paceline.dev/model',
} as const
export const managedBy = 'paceline-operator'
export const drainFinalizer = 'paceline.dev/drain'
export const annotations = {
  /** The content that a volume or fetch is for. */
  sha256: 'paceline.dev/sha256',
  /** The volume that a fetch filled. */
  claimUid: 'paceline.dev/claim-uid',
  /** How often a content has been tried. */
  attempt: 'paceline.dev/attempt',
} as const

export const workerSelector = `${labels.managedBy}=${managedBy},${labels.name}=paceline-worker`
export const ownSelector = `${labels.managedBy}=${managedBy}`
export const apiKeySelector = `${labels.kind}=api-key`
export const calibrationSelector = `${labels.kind}=${calibrationKind}`

const nameCharactersMax = 63
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
const lifeCharacters = 5

/** A name of its own for one life of one worker; without vowels, so that chance spells no words. `random` draws in [0, 1). */
export function workerName(deployment: string, revision: string, random: () => number): WorkerId {
  const life = Array.from({ length: lifeCharacters }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
  const tail = `-${revision.slice(0, 8)}-${life}`
  return WorkerId.parse(`${deployment.slice(0, nameCharactersMax - tail.length).replace(/-+$/, '')}${tail}`)
}

export const modelName = (sha256: string): string => `model-${sha256.slice(0, 16)}`
export const fetchName = (sha256: string): string => `${modelName(sha256)}-fetch`
export const historyName = (deployment: string): string => `${deployment}-revisions`

/** Of the objects beside the workers. */
export function ownLabels(kind: string, deployment?: string): Record<string, string> {
  return {
    [labels.managedBy]: managedBy,
    [labels.name]: `paceline-${kind}`,
    ...(deployment === undefined ? {} : { [labels.deployment]: deployment }),
  }
}

/** Whose end ends the object: the garbage collector removes it when the last of its owners is gone. */
export type OwnerReference = NonNullable<Metadata['ownerReferences']>[number]

export function ownerOf(
  object: ApiObject,
  kind: { apiVersion: string; kind: string },
  controller: boolean,
): OwnerReference {
  const { name = '', uid = '' } = object.metadata ?? {}
  return { ...kindOf(kind), name, uid, ...(controller ? { controller: true } : {}), blockOwnerDeletion: false }
}

const kindOf = ({ apiVersion, kind }: { apiVersion: string; kind: string }) => ({ apiVersion, kind })
