/**
 * Meta Ranking (2402.12146): is one answer reliable? A judge compares it with answers to other questions that are known to be right or
 * wrong, and the comparisons vote.
 *
 * A comparison is two looks at next-token log-probabilities over the labels A, B and C ("the first is better", "the second", "alike"),
 * with the answer first and with the reference first, so that a liking for a position cancels. What the judge says to an empty question
 * is divided out before. Votes: against a right reference an answer stands if it is no worse; against a wrong one it has to be better.
 * Nothing depends on the order of references.
 */

/** Natural log-probabilities (or logits) of the label tokens; a common constant does not matter. */
export interface LabelLogits {
  readonly a: number
  readonly b: number
  readonly alike: number
}

/** A law over the labels. */
export interface LabelLaw {
  readonly a: number
  readonly b: number
  readonly alike: number
}

/** Seen from the answer: how likely it is better than the reference, worse, or no different. */
export interface Comparison {
  readonly better: number
  readonly worse: number
  readonly alike: number
}

export interface Judged {
  readonly comparison: Comparison
  /** Whether the reference's answer is right. */
  readonly referenceCorrect: boolean
  /** How much this reference counts; 1 where nobody says otherwise. */
  readonly weight?: number
}

/** As a judge without any liking would be. */
export const evenLaw: LabelLaw = { a: 1 / 3, b: 1 / 3, alike: 1 / 3 }

export function lawOfLabels({ a, b, alike }: LabelLogits): LabelLaw {
  const most = Math.max(a, b, alike)
  return normalised({ a: Math.exp(a - most), b: Math.exp(b - most), alike: Math.exp(alike - most) })
}

/** `prior`: what the same judge says of empty pairs, every part over 0. */
export function calibrated(law: LabelLaw, prior: LabelLaw): LabelLaw {
  return normalised({ a: law.a / prior.a, b: law.b / prior.b, alike: law.alike / prior.alike })
}

/** `answerFirst`: the answer stood as A; `referenceFirst`: the reference did. Both calibrated. */
export function compare(looks: { readonly answerFirst: LabelLaw; readonly referenceFirst: LabelLaw }): Comparison {
  const { answerFirst, referenceFirst } = looks
  return {
    better: (answerFirst.a + referenceFirst.b) / 2,
    worse: (answerFirst.b + referenceFirst.a) / 2,
    alike: (answerFirst.alike + referenceFirst.alike) / 2,
  }
}

/** From -1, surely worse, to 1, surely better. */
export const marginOf = ({ better, worse }: Comparison) => better - worse

export type Verdict = 'better' | 'alike' | 'worse'

/** Alike where that is likeliest, or where neither side leads by more than `alikeWithin`: a judge that only has a favourite place. */
export function verdictOf(comparison: Comparison, alikeWithin = 1e-9): Verdict {
  const margin = marginOf(comparison)
  if (comparison.alike > Math.max(comparison.better, comparison.worse) || Math.abs(margin) <= alikeWithin)
    return 'alike'
  return margin > 0 ? 'better' : 'worse'
}

/** 1: for the answer, -1: against it. */
export function voteOf(verdict: Verdict, referenceCorrect: boolean): 1 | -1 {
  if (verdict === 'alike') return referenceCorrect ? 1 : -1
  return verdict === 'better' ? 1 : -1
}

/** The vote that is expected of an unsure comparison; where it is sure, the vote. It ranks answers finer than N votes can. */
export function expectedVote({ better, worse }: Comparison, referenceCorrect: boolean): number {
  return referenceCorrect ? 1 - 2 * worse : 2 * better - 1
}

/** From -1 to 1; with `expected`, of the expected votes. At least one reference with a weight over 0. */
export function scoreOf(judged: readonly Judged[], votes: 'counted' | 'expected' = 'counted'): number {
  let sum = 0
  let weights = 0
  for (const { comparison, referenceCorrect, weight = 1 } of judged) {
    const vote =
      votes === 'counted' ? voteOf(verdictOf(comparison), referenceCorrect) : expectedVote(comparison, referenceCorrect)
    sum += weight * vote
    weights += weight
  }
  return sum / weights
}

/** What a judge that sees no difference anywhere gives: a threshold is best read from here, or the bank is balanced. */
export function indifferentScore(bank: { readonly correct: number; readonly wrong: number }): number {
  return (bank.correct - bank.wrong) / (bank.correct + bank.wrong)
}

/** Above the threshold, never on it: a judge that says nothing must not be trusted by a threshold at its own centre. */
export const isReliable = (score: number, threshold: number) => score > threshold

function normalised({ a, b, alike }: LabelLaw): LabelLaw {
  const sum = a + b + alike
  return { a: a / sum, b: b / sum, alike: alike / sum }
}
