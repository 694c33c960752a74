/**
 * SLO goodput over a trace whose rate changes eightfold and whose acceptance changes between 0.5 and 0.9: draft lengths by goodput against
 * every fixed length and against a static table from batch size to length.
 *
 * Run: `npm run bench -- speculationTrace`. Simulated engine, measured step times, fake clock: the machine does not matter.
 */
import { parseArgs } from 'node:util'
import { losses, runTrace, slo, type TraceChoice, type TraceResult } from '#test/simulate/speculationTrace.ts'
import { figure, Report } from './harness/report.ts'
import { sum } from './harness/statistics.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '12' },
    from: { type: 'string', default: '1' },
    phases: { type: 'string', default: '12' },
    /** Requests per second in the slow phases. */
    rate: { type: 'string', default: '0.2' },
  },
})
const seeds = Array.from({ length: values.quick ? 1 : Number(values.seeds) }, (_, i) => Number(values.from) + i)
const fixed: readonly TraceChoice[] = values.quick ? [0, 2, 4] : [0, 1, 2, 3, 4, 6, 8]
const choices: readonly TraceChoice[] = [...fixed, 'table', 'adaptive', 'oracle']

const report = new Report('speculation-trace', 'SLO goodput of a trace, simulated')
report.note(`limits: first token ${figure(slo.ttftMs)} ms, ${figure(slo.tpotMs)} ms per further token`)
const results = new Map<TraceChoice, TraceResult[]>()
for (const choice of choices) {
  const runs: TraceResult[] = []
  for (const seed of seeds)
    runs.push(
      await runTrace({
        choice,
        seed,
        slowPerSecond: Number(values.rate),
        phases: values.quick ? 4 : Number(values.phases),
      }),
    )
  results.set(choice, runs)
}

const mean = (choice: TraceChoice, of: (result: TraceResult) => number) =>
  sum((results.get(choice) ?? []).map(of)) / seeds.length
const goodput = (choice: TraceChoice) => mean(choice, (result) => result.goodput)
const tpot = (choice: TraceChoice) => mean(choice, ({ tpotP99 }) => tpotP99)
const best = fixed.reduce((a, b) => (goodput(b) > goodput(a) ? b : a), 0)

report.table(
  'by draft length',
  ['length', 'good requests/s', 'good share', 'p99 ms per token', 'p99 first token ms', ...losses, 'tok/s'],
  choices.map((choice) => [
    String(choice),
    figure(goodput(choice)),
    `${(100 * mean(choice, ({ goodShare }) => goodShare)).toFixed(1)}%`,
    figure(tpot(choice)),
    figure(mean(choice, ({ ttftP99 }) => ttftP99)),
    ...losses.map((loss) => figure(mean(choice, ({ lostBy }) => lostBy[loss]))),
    figure(mean(choice, ({ tokensPerSecond }) => tokensPerSecond)),
  ]),
)
const phases = ['calm, 0.9', 'calm, 0.5', 'busy, 0.9', 'busy, 0.5']
report.table(
  'requests lost, by load and acceptance when they came',
  ['length', ...phases],
  choices.map((choice) => [
    String(choice),
    ...phases.map((phase) => figure(mean(choice, ({ lost }) => lost.get(phase) ?? 0))),
  ]),
)
report.add('slo', slo)
report.require({
  what: `SLO goodput over the best fixed length (${best})`,
  measured: goodput('adaptive') / goodput(best),
  bound: { atLeast: 1.15 },
  unit: '',
})
report.require({
  what: 'SLO goodput over the static table',
  measured: goodput('adaptive') / goodput('table'),
  bound: { atLeast: 1.05 },
  unit: '',
})
report.require({
  what: 'p99 time per output token over that of the best fixed length',
  measured: tpot('adaptive') / tpot(best),
  bound: { atMost: 1 },
  unit: '',
})
report.note(
  `a controller that knows acceptance and costs: ${figure(goodput('oracle') / goodput(best))} of the best fixed length, ` +
    `${figure(goodput('oracle') / goodput('table'))} of the table, ours ${figure(goodput('adaptive') / goodput('oracle'))} of it`,
)
process.exitCode = report.finish({ quick: values.quick })
