/**
 * What the autoscaler knows of load, and what it learns. Pure.
 *
 * Load is requests at the same time. Learned is a floor: so many workers were needed for so many requests per second. It is set
 * when requests miss the SLO although all workers are up and nothing has piled up, and when a worker that was taken away is
 * wanted back soon. For hours then the same rate of requests has as many, so that a loss is answered once and not tried again every
 * few minutes: that keeps the number of workers from swinging.
 */
import { countOf, merge, quantileMs } from '#algorithms/waitHistogram.ts'
import { limits } from '#contracts/limits.ts'
import type { Scaling } from '#contracts/resources/modelDeployment.ts'
import type { Demand, DemandSample } from './observed.ts'
import type { Pace, Window } from './scaleWindows.ts'

export interface ScaleInput {
  readonly scaling: Scaling
  /** What a wait is measured by where the metric is goodput. */
  readonly slo: { readonly ttftMs: number }
  readonly demand: Demand
  /** Workers that serve. */
  readonly ready: number
  readonly slotsPerWorker: number
}

export interface ScaleState {
  readonly replicas: number
  /** Requests that run, smoothed: they come in bursts by chance alone, and free slots take those. */
  readonly running: number
  readonly at: number
  /** Since when nobody has asked for anything; null: somebody does, or it is not known. */
  readonly idleSince: number | null
  /** Since when all workers that are wanted have been up, with nothing piled up from before; null: that is not so yet. */
  readonly settledSince: number | null
  /** The last time that workers were taken away; null: nothing to regret. */
  readonly lastDown: Needed | null
  readonly floor: Needed | null
  readonly ups: Pace
  readonly downs: Pace
  readonly lows: Window
  readonly highs: Window
}

/** So many workers for so many requests per second, as it was found then. */
export interface Needed {
  readonly at: number
  readonly replicas: number
  readonly arrivedPerSecond: number
}

const smoothMs = 30_000
/** Over so long it is measured how fast requests come and go … */
const flowMs = 20_000
/** … and fewer ended requests than this do not tell how long one takes. */
const endedMin = 5
/** What has piled up should be gone after this. */
const drainSeconds = 30
/** A miss says something about load only where a worker had some. */
const pressureMin = 0.3
/** What was sent before workers were up ends some time after: it says nothing about them. */
const settleMs = 15_000
/** What is judged is the last so long, and so many requests at least. */
const judgedMs = 60_000
const judgedMin = 5
/** Where the metric is goodput, a wait may take this share of the time to the first token. */
const waitShare = 0.5
/** A floor is forgotten after this: machines and requests change … */
const floorMs = 7_200_000
/** … and does not hold for a rate below this share of the one it was found at. */
const floorRateShare = 0.7
/** Workers that are wanted back so soon, for no more than so many times the requests, should not have been taken away. */
const regretMs = 600_000
const regretRateShare = 1.3

export function rawOf(demand: Demand): { running: number; waiting: number } {
  // Workers count choices and routers requests.
  return { running: Math.max(demand.running, demand.slotsBusy), waiting: Math.max(demand.waiting, demand.held) }
}

export function rawLoadOf({ demand }: ScaleInput): number {
  const { running, waiting } = rawOf(demand)
  return running + waiting
}

/**
 * Requests that run, and of those that wait as many as have to run beside them: what arrives beyond what ends, and what has piled
 * up, within `drainSeconds`. (A queue that grew while workers were starting is no reason for ever more of them.) Where it is not
 * known how long a request takes, all that wait.
 */
export function loadOf({ demand }: ScaleInput, { running: smoothed, at: now }: ScaleState): number {
  const { running: current, waiting } = rawOf(demand)
  if (waiting === 0) return smoothed
  // Some wait, so no slot is free: chance has no part in what runs.
  const running = Math.max(smoothed, current)
  const samples = since(demand, now - flowMs)
  const ended = sumOf(samples, ({ offered }) => offered)
  const seconds = secondsOf(samples, now)
  if (ended < endedMin || seconds * 1_000 < limits.operator.demandSampleMs) return running + waiting
  const takesSeconds = (running * seconds) / ended
  const beyond = Math.max(0, (arrivedIn(samples, waiting) / seconds) * takesSeconds - running)
  return running + Math.min(waiting, beyond + (waiting * takesSeconds) / drainSeconds)
}

/** Workers that this rate of requests is known to need; 0: nothing is known. */
export function floorOf(input: ScaleInput, { floor, at: now }: ScaleState): number {
  if (floor === null || now - floor.at >= floorMs) return 0
  return arrivedPerSecondOf(input, now) >= floorRateShare * floor.arrivedPerSecond ? floor.replicas : 0
}

/** What the passing of time and the newest samples change in what is remembered, whatever is decided then. */
export function learned(input: ScaleInput, before: ScaleState, now: number): ScaleState {
  const { demand, ready } = input
  const isStale = demand.freshness === 'stale'
  const weight = 1 - Math.exp(-(now - before.at) / smoothMs)
  const isIdle = rawLoadOf(input) === 0 && demand.freshness === 'fresh'
  const isSettled = ready >= before.replicas && (before.settledSince !== null || demand.waiting === 0)
  const after: ScaleState = {
    ...before,
    at: now,
    running: isStale ? before.running : before.running + (rawOf(demand).running - before.running) * weight,
    idleSince: isIdle ? (before.idleSince ?? now) : null,
    settledSince: isSettled ? (before.settledSince ?? now) : null,
  }
  if (!misses(input, after)) return after
  const needed = { at: now, replicas: before.replicas + 1, arrivedPerSecond: arrivedPerSecondOf(input, now) }
  return { ...after, floor: needed }
}

/** After workers were taken away (`delta` < 0) or added: what to remember of it, and whether the taking away was a mistake. */
export function afterChange(input: ScaleInput, state: ScaleState, delta: number): ScaleState {
  const { at, lastDown } = state
  const arrivedPerSecond = arrivedPerSecondOf(input, at)
  if (delta < 0) return { ...state, lastDown: { at, replicas: state.replicas, arrivedPerSecond } }
  const isRegretted =
    lastDown !== null &&
    at - lastDown.at < regretMs &&
    arrivedPerSecond <= regretRateShare * lastDown.arrivedPerSecond &&
    lastDown.replicas > (state.floor?.replicas ?? 0)
  return { ...state, lastDown: null, floor: isRegretted ? { ...lastDown, at } : state.floor }
}

/** Requests miss what they were promised, all workers that were asked for are up, and they have something to do. */
function misses(input: ScaleInput, state: ScaleState): boolean {
  const { scaling, slo, demand, ready, slotsPerWorker } = input
  if (demand.freshness === 'stale' || ready === 0 || state.settledSince === null) return false
  if (loadOf(input, state) < pressureMin * slotsPerWorker * ready) return false
  const samples = since(demand, Math.max(state.settledSince + settleMs, state.at - judgedMs))
  const waitMsMax = scaling.metric === 'queue' ? scaling.queueWaitMsMax : waitShare * slo.ttftMs
  const waits = merge(samples.map((sample) => sample.waits))
  if (countOf(waits) >= judgedMin && (quantileMs(waits, 0.95) ?? 0) > waitMsMax) return true
  if (scaling.metric === 'queue') return false
  const offered = sumOf(samples, (sample) => sample.offered)
  return offered >= judgedMin && sumOf(samples, ({ met }) => met) < scaling.goodputRatioMin * offered
}

function arrivedPerSecondOf({ demand }: ScaleInput, now: number): number {
  const samples = since(demand, now - judgedMs)
  const seconds = Math.max(limits.operator.demandSampleMs / 1_000, secondsOf(samples, now))
  return arrivedIn(samples, rawOf(demand).waiting) / seconds
}

/** Requests that came: those that were sent to workers, and those that wait now and did not before. */
function arrivedIn(samples: readonly DemandSample[], waiting: number): number {
  return Math.max(0, sumOf(samples, ({ waits }) => countOf(waits)) + waiting - (samples[0]?.waiting ?? 0))
}

const since = (demand: Demand, instant: number) => demand.samples.filter(({ at }) => at >= instant)
const secondsOf = (samples: readonly DemandSample[], now: number) => (now - (samples[0]?.at ?? now)) / 1_000

function sumOf(samples: readonly DemandSample[], value: (sample: DemandSample) => number): number {
  return samples.reduce((sum, sample) => sum + value(sample), 0)
}
