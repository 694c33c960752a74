/**
 * The figures of `docs/speculation.md`, from what measurements have left in `test/bench/results`. A figure whose measurement is not there
 * is not drawn.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { projectFolder } from './machine.ts'
import { resultsFolder } from './report.ts'
import { barChart, lineChart, type Series } from './svgChart.ts'

export const figuresFolder = join(projectFolder, 'docs', 'figures')

const Cell = z.object({
  cell: z.object({ acceptance: z.number(), streams: z.number(), draftStepShare: z.number() }),
  overBest: z.number(),
  overNone: z.number(),
  overBound: z.number().nullable(),
})
type Cell = z.infer<typeof Cell>
const Cells = z.object({ cells: z.array(Cell) })
const Tasks = z.object({
  tasks: z.array(
    z.object({
      task: z.string(),
      threads: z.number(),
      off: z.number(),
      auto: z.number(),
      peerPlain: z.number().nullable(),
      peerBest: z.number().nullable(),
    }),
  ),
})

const tables = [
  { file: 'speculation-table-smolLm2', name: 'simulated-smollm2', engine: 'simulated, SmolLM2-135M' },
  {
    file: 'speculation-table-billionQ8',
    name: 'simulated-1b',
    engine: 'simulated, 1.1 billion weights',
  },
  { file: 'speculation-cells', name: 'engine', engine: 'llama.cpp, SmolLM2-135M' },
] as const
/** What a drafted token takes in the figures, as a share of a step. */
const share = 0.02
const across = 'chance that a drafted token is accepted'

/** SVG by file name. */
export function speculationFigures(): Map<string, string> {
  const figures = new Map<string, string>()
  for (const { file, name, engine } of tables) {
    const cells = (resultsOf(file, Cells)?.cells ?? []).filter(({ cell }) => cell.draftStepShare === share)
    if (cells.length === 0) continue
    figures.set(`speculation-load-${name}.svg`, byLoad(cells, engine))
    const single = cells.filter(({ cell }) => cell.streams === 1)
    if (single.length > 0) figures.set(`speculation-single-${name}.svg`, atOneStream(single, engine))
  }
  const tasks = resultsOf('drafting', Tasks)?.tasks ?? []
  for (const threads of new Set(tasks.map((task) => task.threads))) {
    const of = tasks.filter((task) => task.threads === threads)
    figures.set(`speculation-tasks-${threads}.svg`, byTask(of, threads))
  }
  return figures
}

function byLoad(cells: readonly Cell[], engine: string): string {
  const loads = [...new Set(cells.map(({ cell }) => cell.streams))].toSorted((a, b) => a - b)
  const series = loads.map((streams) => {
    const name = `${streams} ${streams === 1 ? 'stream' : 'streams'}`
    return {
      name,
      points: pointsOf(
        cells.filter(({ cell }) => cell.streams === streams),
        ({ overNone }) => overNone,
      ),
    }
  })
  const text = { title: `Speed-up by load: ${engine}`, across, up: 'times as fast as without' }
  return lineChart(text, series, 1)
}

function atOneStream(cells: readonly Cell[], engine: string): string {
  const series: Series[] = [
    { name: 'by goodput', points: pointsOf(cells, ({ overNone }) => overNone) },
    { name: 'best fixed length', points: pointsOf(cells, ({ overNone, overBest }) => overNone / overBest) },
    {
      name: 'bound by curve',
      isDashed: true,
      points: pointsOf(cells, ({ overNone, overBound }) => overNone / (overBound ?? Number.NaN)),
    },
  ]
  return lineChart({ title: `Speed-up of one stream: ${engine}`, across, up: 'times as fast as without' }, series, 1)
}

function byTask(tasks: z.infer<typeof Tasks>['tasks'], threads: number): string {
  const names = ['ours, off', 'ours, auto', 'llama-server, none', 'llama-server, best']
  const groups = tasks.map(({ task, off, auto, peerPlain, peerBest }) => ({
    name: task,
    values: [off, auto, peerPlain, peerBest],
  }))
  const title = `One stream of real text, ${threads} compute thread${threads === 1 ? '' : 's'}`
  return barChart({ title, across: 'kind of task', up: 'tokens per second' }, names, groups)
}

function pointsOf(cells: readonly Cell[], of: (cell: Cell) => number): [number, number][] {
  const points = cells.map((cell): [number, number] => [cell.cell.acceptance, of(cell)])
  return points.filter(([, y]) => Number.isFinite(y)).toSorted(([a], [b]) => a - b)
}

function resultsOf<T>(name: string, form: z.ZodType<T>): T | null {
  const file = join(resultsFolder, `${name}.json`)
  if (!existsSync(file)) return null
  const parsed = form.safeParse(JSON.parse(readFileSync(file, 'utf8')))
  return parsed.success ? parsed.data : null
}
