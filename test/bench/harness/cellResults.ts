/**
 * The table of draft lengths by goodput against fixed ones, wherever its cells were measured: how a cell is judged, what is printed and
 * what is required. The best fixed length of a cell is chosen on its even rounds and compared on its odd ones, as is ours.
 */
import type { Report } from './report.ts'
import { sum } from './statistics.ts'

export interface CellKey {
  readonly acceptance: number
  readonly streams: number
  /** What a drafted token takes, as a share of a step. */
  readonly draftStepShare: number
}

/** Tokens per second of each round. */
export interface CellSpeeds {
  readonly cell: CellKey
  /** By length; one that fell out early has fewer rounds and is no candidate. Lengths 0 and 4 are there. */
  readonly fixed: ReadonlyMap<number, readonly number[]>
  readonly ours: readonly number[]
  /** The best that the cost curve allows; null: none was figured. */
  readonly bound: readonly number[] | null
}

export interface CellResult {
  readonly cell: CellKey
  readonly best: number
  readonly overBest: number
  readonly overNone: number
  readonly overFour: number
  readonly overBound: number | null
}

/** One side's speed over another's, from the same rounds of both. */
export type Over = (ours: readonly number[], theirs: readonly number[]) => number

/** The ratio of the sums: for rounds that differ by luck alone. */
export const overInSum: Over = (ours, theirs) => sum(ours) / sum(theirs)

export const isEven = (_: number, round: number): boolean => round % 2 === 0
const isOdd = (_: number, round: number) => round % 2 === 1

export function judge({ cell, fixed, ours, bound }: CellSpeeds, over: Over): CellResult {
  const candidates = [...fixed].filter(([, speeds]) => speeds.length === ours.length)
  const [best] = candidates.reduce((a, b) => (over(b[1].filter(isEven), a[1].filter(isEven)) > 1 ? b : a))
  const against = (theirs: readonly number[]) => over(ours.filter(isOdd), theirs.filter(isOdd))
  return {
    cell,
    best,
    overBest: against(fixed.get(best) ?? []),
    overNone: against(fixed.get(0) ?? []),
    overFour: against(fixed.get(4) ?? []),
    overBound: bound === null ? null : against(bound),
  }
}

export interface CellGoals {
  readonly overBest: number
  /** The mean of all cells of one cost of proposals; absent: not asked. */
  readonly overBestMean?: number
}

/** Each result of the worst cell; those of one stream have a bound. */
export function requireCells(report: Report, results: readonly CellResult[], goals: CellGoals): void {
  const atLeast = (what: string, measured: readonly number[], goal: number) =>
    report.require({ what, measured: Math.min(...measured), bound: { atLeast: goal }, unit: '' })
  const all = (of: (result: CellResult) => number) => results.map(of)
  const full = results.filter(({ cell }) => cell.streams === 16 && cell.acceptance <= 0.8)
  const bounded = results.flatMap(({ overBound }) => overBound ?? [])
  const overBest = all((result) => result.overBest)
  atLeast('over the best fixed length, worst cell', overBest, goals.overBest)
  if (goals.overBestMean !== undefined)
    atLeast('over the best fixed length, mean of all cells', [sum(overBest) / overBest.length], goals.overBestMean)
  const overNone = all((result) => result.overNone)
  atLeast('over no speculation, worst cell', overNone, 0.97)
  if (full.length > 0)
    atLeast(
      'over fixed length 4 at 16 streams and acceptance up to 0.8, worst cell',
      full.map(({ overFour }) => overFour),
      1.15,
    )
  if (bounded.length > 0) atLeast('single stream over the bound from the curve, worst cell', bounded, 0.85)
}

/** One table per cost of proposals; what was not measured is left out of it. */
export function tellCells(report: Report, results: readonly CellResult[]): void {
  const distinct = (of: (cell: CellKey) => number) =>
    [...new Set(results.map(({ cell }) => of(cell)))].toSorted((a, b) => a - b)
  const loads = distinct(({ streams }) => streams)
  for (const share of distinct(({ draftStepShare }) => draftStepShare)) {
    const textAt = (acceptance: number, streams: number) => {
      const found = results.find(
        ({ cell }) => cell.acceptance === acceptance && cell.streams === streams && cell.draftStepShare === share,
      )
      return found === undefined ? '' : textOf(found)
    }
    report.table(
      `over the best fixed length (which, and its gain over none), proposals at ${share} of a step`,
      ['acceptance', ...loads.map((streams) => `${streams} streams`)],
      distinct(({ acceptance }) => acceptance).map((acceptance) => [
        String(acceptance),
        ...loads.map((streams) => textAt(acceptance, streams)),
      ]),
    )
  }
  report.add('cells', results)
}

export function textOf({ overBest, overNone, best }: CellResult): string {
  return `${overBest.toFixed(2)} (${best}, ${(overNone / overBest).toFixed(2)})`
}
