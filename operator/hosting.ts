/**
 * What the operator needs of the place it runs in, as a port: the platform with its models and its resources, and how it begins
 * and ends. Implementations: `local/hosting.ts` (files and child processes), `kubernetes/hosting.ts` (the API server and pods).
 */
import type { ApiKeySecret } from '#contracts/resources/apiKey.ts'
import type { ModelStore } from './models/store.ts'
import type { RouteState } from './core/routeStatus.ts'
import type { Platform } from './platform.ts'

export interface Hosting {
  readonly platform: Platform
  readonly store: ModelStore
  /** Where the resources are, and what in them cannot be taken. */
  readonly source: { readonly path: string; readonly problems: readonly string[] }
  /** Everything is looked at again this often, changed or not. */
  readonly resyncMs: number
  /** Reconciles that may run at the same time. */
  readonly reconcilesMax: number
  apiKeys(): readonly ApiKeySecret[]
  /** Every route; complete once `begin` has resolved. */
  routes(): readonly RouteState[]
  /** From now on changes of resources and workers are told. Everything that exists is known when it resolves. */
  begin(told: HostingEvents): Promise<void>
  /** Takes no more from the resources and gives up fetches. `drained` resolves when nothing is left that must go with us. */
  stop(drained: () => boolean): Promise<void>
  /** Last of all, after the work queues have ended. */
  close(): Promise<void>
}

export interface HostingEvents {
  readonly onApiKeys: () => void
  /** What routers are told of routes may have changed. */
  readonly onRoutes: () => void
}
