/**
 * The autoscaler: demand in, number of workers out. Pure; what it remembers is a value that goes in and comes out, bounded.
 *
 * Wanted is load ÷ what one worker carries (`busyRatioMax` of its slots), and at least what this rate of requests is known to need
 * (`scaleLoad.ts`). A worker is added only where the load is clearly over that, removed where the others could take it, and windows
 * and steps of `behavior` slow both.
 *
 * Invariants: always within `minReplicas` and `maxReplicas`; more load never gives fewer workers; without fresh data nothing
 * changes; held requests get a worker at once; steps and windows hold (waking up and falling asleep apart).
 */
import type { Scaling } from '#contracts/resources/modelDeployment.ts'
import {
  afterChange,
  floorOf,
  learned,
  loadOf,
  rawLoadOf,
  rawOf,
  type ScaleInput,
  type ScaleState,
} from './scaleLoad.ts'
import { allowedStep, held, remember } from './scaleWindows.ts'

export type { ScaleInput, ScaleState } from './scaleLoad.ts'

export interface ScaleDecision {
  readonly state: ScaleState
  readonly replicas: number
  /** What the load alone asks for, before windows and steps. */
  readonly recommended: number
  readonly reason: ScaleReason
}
export type ScaleReason =
  /** As many as the load needs. */
  | 'Steady'
  | 'ScaledUp'
  | 'ScaledDown'
  /** More or fewer are wanted, a window or a step holds the change back. */
  | 'Stabilizing'
  /** The load needs more than `maxReplicas`. */
  | 'AtMaximum'
  | 'WokenByRequest'
  | 'Asleep'
  | 'StaleMetrics'
  /** `mode: advisory`: what is recommended is not done. */
  | 'Advisory'

/** More workers only above this multiple of what they carry; the gap between adding and removing. */
const addAbove = 1.2

/** The state before anything is known: the workers that are there, and a full window before fewer are wanted. */
export function firstState(input: ScaleInput, replicas: number, now: number): ScaleState {
  const first = bounded(replicas, input.scaling)
  const windowMs = input.scaling.behavior.scaleDown.stabilizationWindowSeconds * 1_000
  return {
    replicas: first,
    running: rawOf(input.demand).running,
    at: now,
    idleSince: null,
    settledSince: null,
    lastDown: null,
    floor: null,
    ups: [],
    downs: [],
    lows: [],
    highs: remember([], first, { now, windowMs, keep: 'highest' }),
  }
}

export function decideScale(input: ScaleInput, before: ScaleState, now: number): ScaleDecision {
  const { demand, scaling } = input
  const state = pruned(learned(input, before, now), scaling, now)
  const wanted = wantedBy(input, state)
  const recommended = bounded(wanted, scaling)
  if (demand.freshness === 'stale') return stale(input, state, now)
  if (scaling.mode === 'advisory')
    return decided(input, state, bounded(before.replicas, scaling), { now, recommended, reason: 'Advisory' })
  if (before.replicas === 0 && recommended > 0) {
    const first = Math.max(1, scaling.minReplicas, Math.min(recommended, scaling.behavior.scaleUp.stepMax))
    return decided(input, state, first, { now, recommended, reason: wanted > 0 ? 'WokenByRequest' : 'ScaledUp' })
  }
  if (hasIdledFor(state, scaling.idleSeconds, now)) return asleep(input, state, now)
  return paced(input, state, { now, wanted, recommended })
}

/** Time in which nothing was learned does not bring the end of a window nearer. */
function stale(input: ScaleInput, state: ScaleState, now: number): ScaleDecision {
  const { scaling } = input
  const replicas = bounded(state.replicas, scaling)
  const windowMs = scaling.behavior.scaleDown.stabilizationWindowSeconds * 1_000
  const highs = remember(state.highs, replicas, { now, windowMs, keep: 'highest' })
  return decided(input, { ...state, highs }, replicas, { now, recommended: replicas, reason: 'StaleMetrics' })
}

/** Nobody has been there to miss the workers: windows and steps do not matter. */
function asleep(input: ScaleInput, state: ScaleState, now: number): ScaleDecision {
  const { minReplicas } = input.scaling
  const reason = minReplicas === 0 ? 'Asleep' : state.replicas > minReplicas ? 'ScaledDown' : 'Steady'
  return decided(input, state, minReplicas, { now, recommended: minReplicas, reason })
}

function wantedBy(input: ScaleInput, state: ScaleState): number {
  const { replicas } = state
  const carry = input.scaling.busyRatioMax * Math.max(1, input.slotsPerWorker)
  // Asleep there is nothing to learn from how requests went: whoever waits, counts.
  const load = replicas === 0 ? rawLoadOf(input) : loadOf(input, state)
  // A load that fits exactly must not be rounded to one worker more.
  const comfortable = Math.ceil(load / carry - 1e-9)
  if (replicas === 0) return load === 0 ? 0 : Math.max(1, comfortable)
  const tooMuch = load > replicas * carry * addAbove
  // The last worker goes after `idleSeconds`, not by load.
  return Math.max(1, floorOf(input, state), tooMuch || comfortable < replicas ? comfortable : replicas)
}

function paced(
  input: ScaleInput,
  state: ScaleState,
  { now, wanted, recommended }: { now: number; wanted: number; recommended: number },
): ScaleDecision {
  const { scaling, demand } = input
  const { scaleUp, scaleDown } = scaling.behavior
  // What a silent router has is not in the demand: until it is forgotten, the load is at least what it was.
  const known = demand.freshness === 'partial' ? Math.max(recommended, state.replicas) : recommended
  const upMs = scaleUp.stabilizationWindowSeconds * 1_000
  const downMs = scaleDown.stabilizationWindowSeconds * 1_000
  const lows = remember(state.lows, recommended, { now, windowMs: upMs, keep: 'lowest' })
  const highs = remember(state.highs, known, { now, windowMs: downMs, keep: 'highest' })
  const more = held(lows, recommended, 'lowest') - state.replicas
  const fewer = state.replicas - held(highs, known, 'highest')
  const step =
    more > 0
      ? Math.min(more, allowedStep(state.ups, scaleUp, now))
      : -Math.min(Math.max(0, fewer), allowedStep(state.downs, scaleDown, now))
  const replicas = bounded(state.replicas + step, scaling)
  const reason = reasonOf({ before: state.replicas, replicas, recommended, isOver: wanted > scaling.maxReplicas })
  return decided(input, { ...state, lows, highs }, replicas, { now, recommended, reason })
}

function reasonOf(facts: { before: number; replicas: number; recommended: number; isOver: boolean }): ScaleReason {
  const { before, replicas, recommended, isOver } = facts
  if (replicas > before) return 'ScaledUp'
  if (replicas < before) return 'ScaledDown'
  if (recommended !== replicas) return 'Stabilizing'
  if (replicas === 0) return 'Asleep'
  return isOver ? 'AtMaximum' : 'Steady'
}

function decided(
  input: ScaleInput,
  state: ScaleState,
  replicas: number,
  { now, recommended, reason }: { now: number; recommended: number; reason: ScaleReason },
): ScaleDecision {
  const delta = replicas - state.replicas
  if (delta === 0) return { state, replicas, recommended, reason }
  const change = { at: now, delta: Math.abs(delta) }
  const pace = delta > 0 ? { ups: [...state.ups, change] } : { downs: [...state.downs, change] }
  const after = afterChange(input, { ...state, ...pace }, delta)
  return { state: { ...after, replicas, settledSince: null }, replicas, recommended, reason }
}

function pruned(state: ScaleState, { behavior }: Scaling, now: number): ScaleState {
  const { scaleUp, scaleDown } = behavior
  return {
    ...state,
    ups: state.ups.filter(({ at }) => now - at < scaleUp.periodSeconds * 1_000),
    downs: state.downs.filter(({ at }) => now - at < scaleDown.periodSeconds * 1_000),
  }
}

function hasIdledFor({ idleSince }: ScaleState, seconds: number, now: number): boolean {
  return idleSince !== null && now - idleSince >= seconds * 1_000
}

function bounded(replicas: number, { minReplicas, maxReplicas }: Scaling): number {
  return Math.min(maxReplicas, Math.max(minReplicas, replicas))
}
