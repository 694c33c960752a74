/**
 * What the goodput controller itself takes: CPU time of asks, cuts and learning, per step and as a share of the step that was measured for
 * the same rows.
 *
 * Run: `npm run bench -- speculationControl`. CPU time of one thread, so that a busy machine does not matter; the loop's own part is
 * measured with the fixed controller and taken off.
 */
import { parseArgs } from 'node:util'
import { curveOf, curves } from '#test/simulate/curves.ts'
import { createRandom } from '#test/simulate/random.ts'
import { Rounds } from '#test/simulate/speculationRounds.ts'
import { createController } from '../../gpu-worker/core/speculation/createController.ts'
import type { KvLayout } from '../../gpu-worker/core/speculation/shapes.ts'
import { Report } from './harness/report.ts'
import { median } from './harness/statistics.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const steps = values.quick ? 300 : 1_500
const repeats = values.quick ? 3 : 7
const curve = curveOf(curves.smolLm2)

interface Figures {
  readonly cpuUs: number
  readonly stepMs: number
}

function run(kind: 'goodput' | 'fixed', of: { sequences: number; layout: KvLayout; seed: number }): Figures {
  const { layout, sequences, seed } = of
  const controller = createController(kind, { curve: () => curve, layout })
  const rounds = new Rounds({
    controller,
    curve,
    layout,
    sequences,
    draftTokensMax: 8,
    acceptance: ({ sequence }) => 0.5 + 0.4 * ((sequence % 5) / 4),
    draftMs: () => 0.1,
    random: createRandom(seed),
  })
  rounds.run(300)
  const start = process.threadCpuUsage()
  const { ms } = rounds.run(steps)
  const { user, system } = process.threadCpuUsage(start)
  return { cpuUs: (user + system) / steps, stepMs: ms / steps }
}

const report = new Report('speculation-control', 'CPU time of the goodput controller')
const rows = (['split', 'unified'] as const).flatMap((layout) =>
  [1, 2, 4, 8, 16].map((sequences) => {
    const seeds = Array.from({ length: repeats }, (_, seed) => seed)
    const ours = seeds.map((seed) => run('goodput', { sequences, layout, seed }))
    const loop = seeds.map((seed) => run('fixed', { sequences, layout, seed }))
    const us = median(ours.map(({ cpuUs }) => cpuUs)) - median(loop.map(({ cpuUs }) => cpuUs))
    const share = us / 1_000 / median(ours.map(({ stepMs }) => stepMs))
    return { layout, sequences, us, share }
  }),
)
report.add('control', rows)
report.table(
  'per step',
  ['cache', 'sequences', 'CPU µs', 'share of the step'],
  rows.map(({ layout, sequences, us, share }) => [
    layout,
    String(sequences),
    us.toFixed(0),
    `${(100 * share).toFixed(2)}%`,
  ]),
)
report.require({
  what: 'largest share of a step',
  measured: Math.max(...rows.map(({ share }) => share)),
  bound: { atMost: 0.01 },
  unit: '',
})
process.exitCode = report.finish({ quick: values.quick })
