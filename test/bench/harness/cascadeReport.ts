/** What is made of a cascade's measured questions: how well each score tells right from wrong, and accuracy by the large model's share. */
import { auroc } from '#algorithms/auroc.ts'
import { clopperPearson } from '#algorithms/binomial.ts'
import { riskOf } from '#algorithms/harmonizer.ts'
import { trainHarmonizer } from '#algorithms/harmonizerTraining.ts'
import { mulberry32 } from '../../simulate/random.ts'
import type { Report } from './report.ts'
import { median } from './statistics.ts'

/** One question, as both models answered it. */
export interface CascadeRow {
  readonly number: number
  readonly smallRight: boolean
  readonly smallTokens: number
  /** Natural logarithms of the answer's tokens. */
  readonly meanLogProbability: number
  readonly leastLogProbability: number
  readonly characters: number
  readonly largeRight: boolean
  readonly largeTokens: number
  /** Meta Ranking's; null: the judge gave none. */
  readonly score: number | null
}

/** A line of the results file. */
export const CascadeRow = {
  write: (row: CascadeRow): string =>
    [
      row.number,
      Number(row.smallRight),
      row.smallTokens,
      row.meanLogProbability.toFixed(4),
      row.leastLogProbability.toFixed(4),
      row.characters,
      Number(row.largeRight),
      row.largeTokens,
      row.score?.toFixed(5) ?? '-',
    ].join(' '),
  read(line: string): CascadeRow {
    const fields = line.split(' ')
    const at = (i: number) => Number(fields[i])
    return {
      number: at(0),
      smallRight: at(1) === 1,
      smallTokens: at(2),
      meanLogProbability: at(3),
      leastLogProbability: at(4),
      characters: at(5),
      largeRight: at(6) === 1,
      largeTokens: at(7),
      score: fields[8] === '-' ? null : at(8),
    }
  },
}

export interface Ranking {
  readonly name: string
  readonly answers: readonly RankedAnswer[]
}

/** The higher, the more it is trusted. */
export interface RankedAnswer {
  readonly row: CascadeRow
  readonly trust: number
}

/** An answer without a score is trusted least. */
export function rankingsOf(rows: readonly CascadeRow[]): Ranking[] {
  const by = (name: string, trust: (row: CascadeRow, i: number) => number): Ranking => ({
    name,
    answers: rows.map((row, i) => ({ row, trust: trust(row, i) })),
  })
  const risks = crossFittedRisks(rows)
  return [
    by('Meta Ranking', ({ score }) => score ?? -2),
    by('log-probability', ({ meanLogProbability }) => meanLogProbability),
    by('risk score', (_, i) => -(risks[i] ?? 1)),
  ]
}

/**
 * POLAR's harmonizer without labels: features are both scores, the least log-probability and the length; its sources are whether each
 * score is over its median, and the model itself. Each half is scored by what the other half taught.
 */
function crossFittedRisks(rows: readonly CascadeRow[]): number[] {
  const raw = rows.map((row) => [
    row.score ?? -1,
    row.meanLogProbability,
    row.leastLogProbability,
    Math.log1p(row.characters),
  ])
  const columns = [0, 1, 2, 3].map((c) => raw.map((values) => values[c] ?? 0))
  const middles = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length)
  const scales = columns.map(
    (column, c) =>
      Math.sqrt(column.reduce((sum, value) => sum + (value - (middles[c] ?? 0)) ** 2, 0) / column.length) || 1,
  )
  const medians = columns.map(median)
  const examples = raw.map((values) => ({
    features: Float64Array.from(values, (value, c) => (value - (middles[c] ?? 0)) / (scales[c] ?? 1)),
    // Class 0 is right: two sources by their medians, and the model, which always thinks so.
    votes: [0, 1].map((c) => ((values[c] ?? 0) > (medians[c] ?? 0) ? 0 : 1)).concat(0),
  }))
  const halves = [0, 1].map((half) =>
    trainHarmonizer(
      examples.filter((_, i) => i % 2 !== half),
      { scalariser: 'quadratic', classes: 2, random: mulberry32(7 + half) },
    ),
  )
  return examples.map(({ features }, i) => {
    const trained = halves[i % 2]
    return trained === undefined ? 1 : riskOf(trained.harmonizer, features, 0)
  })
}

export interface CurvePoint {
  /** Of the tokens that the large model would write if it answered everything. */
  readonly largeShare: number
  readonly accuracy: number
}

/** Escalated are the least trusted ones first; `steps` + 1 points, from nobody to everybody. */
export function cascadeCurve({ answers }: Ranking, steps = 20): CurvePoint[] {
  const sorted = answers.toSorted((a, b) => a.trust - b.trust)
  const tokensOfAll = sorted.reduce((sum, { row }) => sum + row.largeTokens, 0)
  return Array.from({ length: steps + 1 }, (_, step) => {
    const escalated = Math.round((step / steps) * sorted.length)
    const tokens = sorted.slice(0, escalated).reduce((sum, { row }) => sum + row.largeTokens, 0)
    const right = sorted.filter(({ row }, i) => (i < escalated ? row.largeRight : row.smallRight)).length
    return { largeShare: tokens / tokensOfAll, accuracy: right / sorted.length }
  })
}

/** Who would know: an answer goes on only where that helps, then where it does no harm, then the rest. */
export function oracleRanking(rows: readonly CascadeRow[]): Ranking {
  const gain = (row: CascadeRow) => Number(row.largeRight) - Number(row.smallRight)
  return { name: 'whoever knows', answers: rows.map((row) => ({ row, trust: -gain(row) })) }
}

/** Chance that a right answer ranks over a wrong one to a question of the same kind: a score that only knows what is hard has a half. */
export function concordanceWithin({ answers }: Ranking, kindOf: (number: number) => string): number {
  let over = 0
  let pairs = 0
  for (const { row, trust } of answers)
    for (const other of answers) {
      if (!row.smallRight || other.row.smallRight || kindOf(row.number) !== kindOf(other.row.number)) continue
      pairs += 1
      over += trust > other.trust ? 1 : trust === other.trust ? 0.5 : 0
    }
  return over / pairs
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`

export function reportCascade(report: Report, rows: readonly CascadeRow[], kindOf: (number: number) => string): void {
  const kinds = [...new Set(rows.map(({ number }) => kindOf(number)))].toSorted()
  const counted = (own: readonly CascadeRow[]) => [
    String(own.length),
    percent(own.filter(({ smallRight }) => smallRight).length / own.length),
    percent(own.filter(({ largeRight }) => largeRight).length / own.length),
  ]
  report.table(
    'right answers by kind',
    ['kind', 'questions', 'small', 'large'],
    [
      ...kinds.map((kind) => [kind, ...counted(rows.filter(({ number }) => kindOf(number) === kind))]),
      ['all', ...counted(rows)],
    ],
  )
  const interval = (which: 'smallRight' | 'largeRight') => {
    const { lower, upper } = clopperPearson(
      { wrong: rows.filter((row) => row[which]).length, labels: rows.length },
      0.95,
    )
    return `${percent(lower)} to ${percent(upper)}`
  }
  report.note(`right, with 95 % intervals: small ${interval('smallRight')}, large ${interval('largeRight')}`)
  const rankings = rankingsOf(rows)
  const separations = rankings.map((ranking) => ({
    name: ranking.name,
    ...auroc(ranking.answers.map(({ row, trust }) => ({ score: trust, right: row.smallRight }))),
    withinKinds: concordanceWithin(ranking, kindOf),
  }))
  report.add('separations', separations)
  report.table(
    'telling right from wrong',
    ['score', 'AUROC', '95 % interval', 'within a kind'],
    separations.map(({ name, area, lower, upper, withinKinds }) => [
      name,
      area.toFixed(3),
      `${lower.toFixed(3)} to ${upper.toFixed(3)}`,
      withinKinds.toFixed(3),
    ]),
  )
  const curves = [...rankings, oracleRanking(rows)].map((ranking) => ({
    name: ranking.name,
    points: cascadeCurve(ranking),
  }))
  report.add('curves', curves)
  const shown = [0, 4, 8, 12, 16, 20]
  report.table(
    'accuracy by the share of answers that go on',
    ['score', ...shown.map((step) => `${step * 5} %`)],
    curves.map(({ name, points }) => [name, ...shown.map((step) => percent(points[step]?.accuracy ?? Number.NaN))]),
  )
}
