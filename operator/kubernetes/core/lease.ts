/**
 * Who leads: decided from the Lease object as last seen and our own monotonic clock. Pure.
 *
 * Clocks of two machines are never compared. A follower counts from when it itself saw the lease change last; a leader counts
 * from before it sent the renewal that succeeded. So the leader's right ends, on any pair of clocks that run at the same speed,
 * before a follower may take the lease; `marginMs` covers a difference in speed.
 */
import type { LeaseConfig } from '#contracts/operatorConfig.ts'

export interface LeaseView {
  readonly holder: string
  readonly resourceVersion: string
  readonly durationMs: number
  readonly transitions: number
}

export interface Sighting {
  readonly view: LeaseView | null
  /** When this very version was seen first. */
  readonly since: number
}

export function sight(before: Sighting | null, view: LeaseView | null, now: number): Sighting {
  const same = before !== null && before.view?.resourceVersion === view?.resourceVersion
  return same ? before : { view, since: now }
}

export type LeaseStep =
  | { readonly kind: 'create' }
  | { readonly kind: 'take'; readonly transitions: number }
  | { readonly kind: 'renew'; readonly transitions: number }
  | { readonly kind: 'wait' }

/** `identity` holds it already when it says so: our own former life with the same name cannot exist (it has a random part). */
export function nextLeaseStep(sighting: Sighting, identity: string, now: number): LeaseStep {
  const { view, since } = sighting
  if (view === null) return { kind: 'create' }
  if (view.holder === identity) return { kind: 'renew', transitions: view.transitions }
  const free = view.holder === '' || now - since >= view.durationMs
  return free ? { kind: 'take', transitions: view.transitions + 1 } : { kind: 'wait' }
}

/** Until when a leader may send writes, whose last renewal was sent at `renewedAt`. */
export function writesUntil(renewedAt: number, { durationMs, marginMs }: LeaseConfig): number {
  return renewedAt + durationMs - marginMs
}
