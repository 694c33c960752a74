/**
 * What an autoscaler remembers: recommendations of a window, and how much was changed lately. Values, pure, bounded.
 *
 * A window is kept in a fixed number of slices, each with its most cautious recommendation, so that it takes the same room
 * however often it is fed. A slice counts until all of it has left the window: it errs on the side of waiting.
 */
export interface Slice {
  readonly at: number
  readonly value: number
}
export type Window = readonly Slice[]
export type Extreme = 'lowest' | 'highest'

export interface Change {
  readonly at: number
  readonly delta: number
}
/** Changes of the last period, oldest first. As many as workers that were changed in it, at most. */
export type Pace = readonly Change[]

/** Slices of a window; a window holds one more at most, the one that is just leaving it. */
export const slicesMax = 30

export function remember(
  window: Window,
  value: number,
  { now, windowMs, keep }: { now: number; windowMs: number; keep: Extreme },
): Window {
  if (windowMs === 0) return []
  const sliceMs = windowMs / slicesMax
  const inside = window.filter(({ at }) => now - at < windowMs + sliceMs)
  const last = inside.at(-1)
  if (last === undefined || now - last.at >= sliceMs) return [...inside, { at: now, value }].slice(-(slicesMax + 2))
  return [...inside.slice(0, -1), { at: last.at, value: extreme(keep, last.value, value) }]
}

/** The most cautious of the window, `now` included. */
export function held(window: Window, now: number, keep: Extreme): number {
  return window.reduce((found, { value }) => extreme(keep, found, value), now)
}

/** How much more may change now. */
export function allowedStep(
  pace: Pace,
  { periodSeconds, stepMax }: { periodSeconds: number; stepMax: number },
  now: number,
): number {
  const used = pace.reduce((sum, { at, delta }) => (now - at < periodSeconds * 1_000 ? sum + delta : sum), 0)
  return Math.max(0, stepMax - used)
}

const extreme = (keep: Extreme, a: number, b: number) => (keep === 'lowest' ? Math.min(a, b) : Math.max(a, b))
