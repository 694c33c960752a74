/** What a calibration found, for the person who made it. Pure. */
import { auroc } from '#algorithms/auroc.ts'
import { fewestLabels } from '#algorithms/riskBound.ts'
import type { CascadeCalibration } from '#contracts/calibration.ts'
import { table } from '../terminal.ts'
import { choiceOf, type LabelledAnswer } from './cascadeDocument.ts'

const percent = (share: number) => `${(100 * share).toFixed(1)} %`

export function cascadeReport(document: CascadeCalibration, answers: readonly LabelledAnswer[]): string[] {
  const { labels, kept, errorRateMax, confidence, threshold, errorRate } = document
  const unscored = answers.filter(({ score }) => score === null).length
  const lines = [
    `${labels.counted} labelled answers, ${percent(labels.wrong / labels.counted)} of them wrong${unscored === 0 ? '' : `; the judge gave no score for ${unscored}`}`,
    separationText(answers),
    ...table(['ANSWERS BY SCORE', 'SCORES FROM', 'WRONG'], fifths(answers)),
  ]
  if (threshold === null || errorRate === null) return [...lines, ...whyNothing(document, answers)]
  const { shareInterval } = kept
  return [
    ...lines,
    `kept over a score of ${threshold.toFixed(4)}: ${percent(kept.share)} of the answers (${percent(shareInterval.lower)} to ${percent(shareInterval.upper)})`,
    `of those ${kept.wrong} of ${kept.counted} are wrong (${percent(errorRate.lower)} to ${percent(errorRate.upper)}); proved is at most ${percent(errorRateMax)} with a confidence of ${confidence}`,
  ]
}

function separationText(answers: readonly LabelledAnswer[]): string {
  const scored = answers.flatMap(({ score, correct }) => (score === null ? [] : [{ score, right: correct }]))
  if (!scored.some(({ right }) => right) || scored.every(({ right }) => right))
    return 'right and wrong cannot be told apart: there is only one of them'
  const { area, lower, upper } = auroc(scored)
  const worth = lower <= 0.5 && upper >= 0.5 ? '; the judge may know nothing' : ''
  return `a right answer ranks over a wrong one with a chance of ${area.toFixed(3)} (${lower.toFixed(3)} to ${upper.toFixed(3)})${worth}`
}

/** The best fifth first. */
function fifths(answers: readonly LabelledAnswer[]): string[][] {
  const sorted = answers
    .flatMap(({ score, correct }) => (score === null ? [] : [{ score, correct }]))
    .toSorted((a, b) => b.score - a.score)
  return [0, 1, 2, 3, 4].flatMap((fifth) => {
    const own = sorted.slice(Math.round((fifth * sorted.length) / 5), Math.round(((fifth + 1) * sorted.length) / 5))
    const last = own.at(-1)
    if (last === undefined) return []
    const wrong = own.filter(({ correct }) => !correct).length
    return [[`${fifth * 20} to ${fifth * 20 + 20} %`, last.score.toFixed(3), percent(wrong / own.length)]]
  })
}

function whyNothing({ errorRateMax, confidence }: CascadeCalibration, answers: readonly LabelledAnswer[]): string[] {
  const guarantee = { errorRateMax, confidence }
  const choice = choiceOf({ answers, guarantee })
  if (choice.kind === 'too-few')
    return [
      `nothing is kept: it takes ${choice.labelsMin} labels to prove ${percent(errorRateMax)}, even if all of them are right`,
    ]
  const needed = [1, 2, 4].map((wrong) => `${fewestLabels(guarantee, wrong)} with ${wrong} wrong`)
  return [
    `nothing is kept: no threshold is proved to keep at most ${percent(errorRateMax)} wrong answers at a confidence of ${confidence}`,
    `it would take the best ${fewestLabels(guarantee, 0)} answers all right, ${needed.join(', ')}: other references, a better judge, more labels, or a higher --error-rate-max`,
  ]
}
