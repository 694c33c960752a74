/**
 * The threshold of a score above which answers are kept, with a guarantee: with chance `confidence` over the labels it was chosen on,
 * the share of wrong answers among those kept is at most `errorRateMax`, whatever the score is worth.
 *
 * How. Labels are sorted by score, and from `firstLook` answers on, one more at a time, Clopper–Pearson asks whether so few wrong ones
 * among the best k would be a surprise if the rate were over `errorRateMax` (E). The first k that is no surprise ends it; the one before
 * is taken. Each look has the whole doubt: looking often costs nothing.
 *
 * Proof. Fixed-sequence testing would give that for thresholds fixed beforehand; these are scores at a rank, so they are drawn too. Let
 * r(t) be the true error rate of what lies above t, and T the thresholds with r > E. Without ties r is continuous, so T is made of open
 * intervals, and r = E at both ends of each of them and of each gap between them. Hence the mean error *inside* each of these pieces is
 * E, too. Now let only the number of scores in each piece be given. (1) That says which rank is the first look with a threshold in T.
 * (2) Labels are still open: a piece's wrong answers are binomial with rate E. (3) Above that first threshold lie whole pieces, because
 * the rank before was still outside T; so its wrong answers are binomial with rate E, and it is passed with at most the doubt. If it is
 * the very first look, it may stand inside an interval; what lies above it there errs more than E in the mean, so it passes more rarely
 * still. (4) Nothing after a failure is looked at, so a threshold in T is only taken where this first one was passed.
 *
 * So it holds for labels drawn independently from the traffic on which the threshold is used, and scores without ties (expected votes,
 * not counted ones). With ties only gaps between scores are looked at and each look is exact; that the first gap with enough answers
 * above it is a matter of chance is not covered by the proof, and costs nothing that 1,000 simulated calibrations show (see the tests).
 *
 * Why not conformal risk control: it bounds the mean over calibrations, so about half of them may be worse; who states a confidence has
 * one calibration. Why not a bound that holds for all thresholds at once (Bonferroni, DKW): it needs two to three times the labels.
 * Not covered: traffic that changes afterwards; `errorWatch.ts` watches that.
 */
import assert from 'node:assert/strict'
import { binomialAtMost, clopperPearson, type Counted, type Interval } from './binomial.ts'

export interface LabelledScore {
  readonly score: number
  readonly wrong: boolean
}

export interface Guarantee {
  /** Share of the kept answers that may be wrong. */
  readonly errorRateMax: number
  readonly confidence: number
}

export type ThresholdChoice =
  | {
      readonly kind: 'chosen'
      /** Answers with a score over it are kept; `-Infinity`: all of them. */
      readonly threshold: number
      readonly kept: Counted
      /** Share of all answers that is kept. */
      readonly keptShare: number
      /** Where the error rate of what is kept lies, for people; what is guaranteed is `errorRateMax`. */
      readonly errorRate: Interval
    }
  /** No threshold is proved good: nothing may be kept. */
  | { readonly kind: 'none' }
  /** So few labels could not prove it if all of them were right. */
  | { readonly kind: 'too-few'; readonly labelsMin: number }

export function chooseThreshold(labelled: readonly LabelledScore[], guarantee: Guarantee): ThresholdChoice {
  assert(
    labelled.every(({ score }) => !Number.isNaN(score)),
    'a score is a number',
  )
  const labelsMin = fewestLabels(guarantee, 0)
  if (labelled.length < labelsMin) return { kind: 'too-few', labelsMin }
  const sorted = labelled.toSorted((a, b) => b.score - a.score)
  const kept = lastProved(sorted, guarantee)
  if (kept === null) return { kind: 'none' }
  return {
    kind: 'chosen',
    threshold: sorted[kept.labels]?.score ?? Number.NEGATIVE_INFINITY,
    kept,
    keptShare: kept.labels / sorted.length,
    errorRate: clopperPearson(kept, guarantee.confidence),
  }
}

/** So few labels prove the rate where `wrong` of them are wrong. */
export function fewestLabels({ errorRateMax, confidence }: Guarantee, wrong: number): number {
  if (wrong === 0) return Math.ceil(Math.log(1 - confidence) / Math.log1p(-errorRateMax))
  let labels = fewestLabels({ errorRateMax, confidence }, wrong - 1) + 1
  while (binomialAtMost({ wrong, labels }, errorRateMax) > 1 - confidence) labels += 1
  return labels
}

/** Early enough for a score that knows little, late enough that one unlucky answer at the top does not end everything. */
const wrongAtFirstLook = 2

function firstLook(guarantee: Guarantee, all: number): number {
  return Math.min(all, fewestLabels(guarantee, wrongAtFirstLook))
}

function lastProved(sorted: readonly LabelledScore[], guarantee: Guarantee): Counted | null {
  const first = firstLook(guarantee, sorted.length)
  let wrong = 0
  let proved: Counted | null = null
  for (const [i, answer] of sorted.entries()) {
    if (answer.wrong) wrong += 1
    const labels = i + 1
    // Within a tie no threshold can stand.
    if (labels < first || sorted[labels]?.score === answer.score) continue
    // More labels with no more wrong ones prove more.
    const isProved =
      proved?.wrong === wrong || binomialAtMost({ wrong, labels }, guarantee.errorRateMax) <= 1 - guarantee.confidence
    if (!isProved) break
    proved = { wrong, labels }
  }
  return proved
}
