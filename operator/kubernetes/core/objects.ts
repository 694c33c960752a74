/**
 * Kubernetes objects as they travel (JSON), and the resources this operator knows by their path.
 *
 * The types are the client library's, with one difference: on the wire instants are text, which its own decoder would turn
 * into `Date`. What we read ourselves and others may have written is still checked where it is read.
 */
import type {
  EventsV1Event,
  V1Job,
  V1Lease,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1Secret,
  V1Service,
  V1ConfigMap,
} from '@kubernetes/client-node'
import { apiVersion as ownApiVersion } from '#contracts/resources/modelDeployment.ts'

/** As in JSON: every instant is text. */
export type Raw<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? Raw<U>[]
    : T extends object
      ? { [K in keyof T]: Raw<T[K]> }
      : T

export type Metadata = NonNullable<Raw<V1Pod>['metadata']>
export interface ApiObject {
  apiVersion?: string
  kind?: string
  metadata?: Metadata
}

export type Pod = Raw<V1Pod>
export type Secret = Raw<V1Secret>
export type Service = Raw<V1Service>
export type Claim = Raw<V1PersistentVolumeClaim>
export type Job = Raw<V1Job>
export type DisruptionBudget = Raw<V1PodDisruptionBudget>
export type Lease = Raw<V1Lease>
export type ConfigMap = Raw<V1ConfigMap>
export type ApiEvent = Raw<EventsV1Event>
/** Ours: parsed with its schema before anything is read from it. */
export interface DeploymentObject extends ApiObject {
  spec?: unknown
  status?: unknown
}

export type RouteObject = DeploymentObject

export interface Resource<T extends ApiObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  /** Never there: carries the type of its objects. */
  readonly object?: T
}

const define = <T extends ApiObject>(apiVersion: string, kind: string, plural: string): Resource<T> => ({
  apiVersion,
  kind,
  plural,
})

export const resources = {
  deployments: define<DeploymentObject>(ownApiVersion, 'ModelDeployment', 'modeldeployments'),
  routes: define<RouteObject>(ownApiVersion, 'ModelRoute', 'modelroutes'),
  pods: define<Pod>('v1', 'Pod', 'pods'),
  secrets: define<Secret>('v1', 'Secret', 'secrets'),
  services: define<Service>('v1', 'Service', 'services'),
  configMaps: define<ConfigMap>('v1', 'ConfigMap', 'configmaps'),
  claims: define<Claim>('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  jobs: define<Job>('batch/v1', 'Job', 'jobs'),
  budgets: define<DisruptionBudget>('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  leases: define<Lease>('coordination.k8s.io/v1', 'Lease', 'leases'),
  events: define<ApiEvent>('events.k8s.io/v1', 'Event', 'events'),
} as const

/** The address of a collection, or of one object in it. */
export function pathOf(
  resource: Resource<ApiObject>,
  namespace: string,
  name?: string,
  subresource?: 'status',
): string {
  const root = resource.apiVersion === 'v1' ? '/api/v1' : `/apis/${resource.apiVersion}`
  const parts = ['namespaces', namespace, resource.plural, name, subresource].filter((part) => part !== undefined)
  return `${root}/${parts.map(encodeURIComponent).join('/')}`
}

export const nameOf = (object: ApiObject): string => object.metadata?.name ?? ''
export const uidOf = (object: ApiObject): string => object.metadata?.uid ?? ''
export const versionOf = (object: ApiObject): string => object.metadata?.resourceVersion ?? ''
export const isDeleting = (object: ApiObject): boolean => object.metadata?.deletionTimestamp !== undefined

/**
 * Which of two versions of one collection is newer (`> 0`: a). The API promises that they are numbers of any length that grow;
 * text compares them without loss.
 */
export function compareVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length
  return a < b ? -1 : a > b ? 1 : 0
}
