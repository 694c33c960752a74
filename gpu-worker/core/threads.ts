/**
 * How many compute threads to use, judged by what steps take.
 *
 * Two compute threads beside one busy process stall each other (measured 288 → 60 tokens per second on two CPUs, where one thread
 * keeps 154), and no system call says so beforehand. So this compares: it tries another number of threads for a few steps, and
 * stays where steps are clearly shorter. Steps of different shapes are compared by their ratio to the cost curve. It probes soon
 * after the start, at once when steps become much slower than the curve says, and otherwise rarely: a lost probe doubles the pause.
 */
export interface ThreadBounds {
  readonly threadsMax: number
}

interface Probe {
  readonly from: number
  readonly before: number
  readonly ratios: readonly number[]
}

export interface ThreadState {
  readonly threads: number
  /** Ratios of the last steps with this number of threads, oldest first. */
  readonly recent: readonly number[]
  readonly probe: Probe | null
  /** The ratio that steps had when this number of threads was chosen, following slowly: a neighbour comes suddenly. */
  readonly usual: number
  readonly pauseMs: number
  readonly probeAt: number
  /** Where the last probe between two neighbours went. */
  readonly lastUp: boolean
  /** No probe has ended yet: nobody knows whether a neighbour was there from the start. */
  readonly isFirst: boolean
}

const recentSteps = 12
/** Enough where steps are so slow that more would take too long. */
const recentStepsMin = 5
const probeSteps = 7
/** Enough where the difference is this clear. */
const probeStepsMin = 4
const clearWin = 0.7
/** Every step of a probe this many times slower: each further one is a gap that users see. */
const stalled = 2.2
/** The first steps after a change pay for it. */
const probeSkipped = 2
/** A change must be worth this much, so that noise does not make it. */
const gainMin = 0.92
/** Steps this much slower than usual are a reason to probe now. */
const slowRatio = 1.6
const usualRate = 0.02
const pauseMsMin = 5_000
const pauseMsMax = 120_000
const firstProbeMs = 1_000
const urgentPauseMs = 1_000

export function startThreads(threads: number, now: number): ThreadState {
  return {
    threads,
    recent: [],
    probe: null,
    usual: 1,
    pauseMs: pauseMsMin,
    probeAt: now + firstProbeMs,
    lastUp: true,
    isFirst: true,
  }
}

/** `ratio`: what a step without prompt chunks took, divided by what the curve says. The caller applies `threads` when it changes. */
export function observeThreads(
  state: ThreadState,
  step: { readonly ratio: number; readonly now: number },
  bounds: ThreadBounds,
): ThreadState {
  if (bounds.threadsMax <= 1) return state
  if (state.probe !== null) return continueProbe(state, state.probe, step)
  const recent = [...state.recent, step.ratio].slice(-recentSteps)
  if (recent.length < recentStepsMin) return { ...state, recent }
  const typical = median(recent)
  const watched = { ...state, recent, usual: state.usual + usualRate * (typical - state.usual) }
  const isSlow = typical > watched.usual * slowRatio && step.now >= state.probeAt - state.pauseMs + urgentPauseMs
  const isDue = step.now >= state.probeAt && (recent.length === recentSteps || state.isFirst)
  return isDue || isSlow ? beginProbe(watched, bounds) : watched
}

function beginProbe(state: ThreadState, bounds: ThreadBounds): ThreadState {
  const { threads } = state
  const up = threads === 1 || (threads < bounds.threadsMax && !state.lastUp)
  const next = up ? Math.min(bounds.threadsMax, threads * 2) : Math.max(1, Math.floor(threads / 2))
  const probe = { from: threads, before: median(state.recent), ratios: [] }
  return { ...state, threads: next, probe, lastUp: up, recent: [] }
}

function continueProbe(state: ThreadState, probe: Probe, step: { ratio: number; now: number }): ThreadState {
  const ratios = [...probe.ratios, step.ratio]
  const verdict = judge(probe.before, ratios)
  if (verdict === 'open') return { ...state, probe: { ...probe, ratios } }
  const hasWon = verdict === 'won'
  const pauseMs = hasWon ? pauseMsMin : Math.min(pauseMsMax, state.pauseMs * 2)
  return {
    threads: hasWon ? state.threads : probe.from,
    usual: hasWon ? median(ratios.slice(probeSkipped)) : probe.before,
    recent: [],
    probe: null,
    pauseMs,
    probeAt: step.now + pauseMs,
    lastUp: state.lastUp,
    isFirst: false,
  }
}

function judge(before: number, ratios: readonly number[]): 'open' | 'won' | 'lost' {
  if (ratios.length >= probeSkipped && Math.min(...ratios) > before * stalled) return 'lost'
  if (ratios.length < probeStepsMin) return 'open'
  const after = median(ratios.slice(probeSkipped))
  const isClear = after < before * clearWin || after > before / clearWin
  if (!isClear && ratios.length < probeSteps) return 'open'
  return after < before * gainMin ? 'won' : 'lost'
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 1
}
