/**
 * For how long a router lets others' tenants go first: as long as a request is sent elsewhere meanwhile, and no longer than `yieldMsMax`
 * without that; then it goes on by itself for `yieldPauseMs`. So shares hold where all routers can send, and where one cannot nobody waits
 * for it for nothing. Pure.
 */
import { limits } from '#contracts/limits.ts'

export interface Yielding {
  /** Since when it lets others go first and none of them went; null: it does not. */
  readonly since: number | null
  readonly pausedUntil: number
}

const { yieldMsMax, yieldPauseMs } = limits.queue

export const notYielding: Yielding = { since: null, pausedUntil: Number.NEGATIVE_INFINITY }

/** A request was sent elsewhere: it was not for nothing. What was sent before and is still being answered says nothing of that. */
export const onServedElsewhere = (state: Yielding): Yielding =>
  state.since === null ? state : { ...state, since: null }

/** Nobody waits here, or there is no room for anybody: nobody is let go first by that. */
export const onNothingToSend = onServedElsewhere

/** Before each request that could be sent. `yields`: whoever is next is ahead of somebody who waits elsewhere. */
export function decideYield(state: Yielding, yields: boolean, now: number): { waits: boolean; state: Yielding } {
  if (!yields || now < state.pausedUntil) return { waits: false, state: { ...state, since: null } }
  const since = state.since ?? now
  if (now - since < yieldMsMax) return { waits: true, state: { ...state, since } }
  return { waits: false, state: { since: null, pausedUntil: now + yieldPauseMs } }
}
