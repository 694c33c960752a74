/** The figure of `docs/cascade.md`, from what `npm run bench -- cascade` has left; none where nothing was measured. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { resultsFolder } from './report.ts'
import { lineChart, type Series } from './svgChart.ts'

const Results = z.object({
  rows: z.array(z.string()),
  curves: z.array(
    z.object({ name: z.string(), points: z.array(z.object({ largeShare: z.number(), accuracy: z.number() })) }),
  ),
})
type Curve = z.infer<typeof Results>['curves'][number]

const gridSteps = 10

/** SVG by file name. */
export function cascadeFigures(): Map<string, string> {
  const file = join(resultsFolder, 'cascade.json')
  if (!existsSync(file)) return new Map()
  const { rows, curves } = Results.parse(JSON.parse(readFileSync(file, 'utf8')))
  const text = {
    title: `SmolLM2-135M → gemma-3-270m, ${rows.length} questions`,
    across: 'share of the large model’s tokens, % (0: small alone, 100: large alone)',
    up: 'right answers, %',
  }
  return new Map([['cascade-accuracy.svg', lineChart(text, [...curves.map(seriesOf), chance(curves)])]])
}

function seriesOf({ name, points }: Curve): Series {
  const grid = Array.from({ length: gridSteps + 1 }, (_, i) => i / gridSteps)
  return { name, points: grid.map((share) => [100 * share, 100 * accuracyAt(points, share)] as const) }
}

/** Who chooses at random which answers go on. */
function chance(curves: readonly Curve[]): Series {
  const [any] = curves
  const [first, last] = [any?.points[0]?.accuracy ?? 0, any?.points.at(-1)?.accuracy ?? 0]
  return {
    name: 'by chance',
    isDashed: true,
    points: [
      [0, 100 * first],
      [100, 100 * last],
    ],
  }
}

/** Between the two nearest points, which are in the order of their shares. */
function accuracyAt(points: Curve['points'], share: number): number {
  const next = points.findIndex(({ largeShare }) => largeShare >= share)
  const [before, after] = [points[Math.max(0, next - 1)], points[next === -1 ? points.length - 1 : next]]
  if (before === undefined || after === undefined) return Number.NaN
  const span = after.largeShare - before.largeShare
  const part = span <= 0 ? 1 : (share - before.largeShare) / span
  return before.accuracy + part * (after.accuracy - before.accuracy)
}
