/**
 * SLO goodput over a trace whose rate changes eightfold and whose acceptance changes between 0.5 and 0.9: draft lengths by goodput against
 * every fixed length and against a static table from batch size to length; each with as many requests at once as there are slots, and with as
 * many as the SLO bears (`spec.slo.admission: goodput`), so that a reader sees what comes from which.
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
const admissions = ['slots', 'goodput'] as const
type Admission = (typeof admissions)[number]

const report = new Report('speculation-trace', 'SLO goodput of a trace, simulated')
report.note(`limits: first token ${figure(slo.ttftMs)} ms, ${figure(slo.tpotMs)} ms per further token`)
const results = new Map<string, TraceResult[]>()
const keyOf = (choice: TraceChoice, admission: Admission) => `${choice}/${admission}`
for (const admission of admissions) for (const choice of choices) await runSeeds(choice, admission)

const mean = (choice: TraceChoice, admission: Admission, of: (result: TraceResult) => number) =>
  sum((results.get(keyOf(choice, admission)) ?? []).map(of)) / seeds.length
const goodput = (choice: TraceChoice, admission: Admission) => mean(choice, admission, (result) => result.goodput)
const tpot = (choice: TraceChoice, admission: Admission) => mean(choice, admission, ({ tpotP99 }) => tpotP99)
const bestFixed = (admission: Admission) =>
  fixed.reduce((a, b) => (goodput(b, admission) > goodput(a, admission) ? b : a), 0)
const best = bestFixed('slots')

for (const admission of admissions) {
  tellFigures(admission)
  tellLosses(admission)
}
report.add('slo', slo)
report.require({
  what: `SLO goodput over the best fixed length (${best})`,
  measured: goodput('adaptive', 'goodput') / goodput(best, 'slots'),
  bound: { atLeast: 1.15 },
  unit: '',
})
report.require({
  what: 'SLO goodput over the static table',
  measured: goodput('adaptive', 'goodput') / goodput('table', 'slots'),
  bound: { atLeast: 1.05 },
  unit: '',
})
report.require({
  what: 'p99 time per output token over that of the best fixed length',
  measured: tpot('adaptive', 'goodput') / tpot(best, 'slots'),
  bound: { atMost: 1 },
  unit: '',
})
compare('lengths alone', 'slots', 'slots')
compare('lengths, and who runs at once', 'goodput', 'slots')
compare('lengths, where all of them are admitted like this', 'goodput', 'goodput')
process.exitCode = report.finish({ quick: values.quick })

async function runSeeds(choice: TraceChoice, admission: Admission): Promise<void> {
  const runs: TraceResult[] = []
  const phases = values.quick ? 4 : Number(values.phases)
  for (const seed of seeds)
    runs.push(await runTrace({ choice, admission, seed, slowPerSecond: Number(values.rate), phases }))
  results.set(keyOf(choice, admission), runs)
}

function tellFigures(admission: Admission): void {
  report.table(
    `by draft length, admission by ${admission}`,
    ['length', 'good requests/s', 'good share', 'p99 ms per token', 'p99 first token ms', ...losses, 'tok/s'],
    choices.map((choice) => {
      const each = (of: (result: TraceResult) => number) => figure(mean(choice, admission, of))
      return [
        String(choice),
        figure(goodput(choice, admission)),
        `${(100 * mean(choice, admission, ({ goodShare }) => goodShare)).toFixed(1)}%`,
        figure(tpot(choice, admission)),
        each(({ ttftP99 }) => ttftP99),
        ...losses.map((loss) => each(({ lostBy }) => lostBy[loss])),
        each(({ tokensPerSecond }) => tokensPerSecond),
      ]
    }),
  )
}

function tellLosses(admission: Admission): void {
  const phases = ['calm, 0.9', 'calm, 0.5', 'busy, 0.9', 'busy, 0.5']
  report.table(
    `requests lost, by load and acceptance when they came, admission by ${admission}`,
    ['length', ...phases],
    choices.map((choice) => [
      String(choice),
      ...phases.map((phase) => figure(mean(choice, admission, ({ lost }) => lost.get(phase) ?? 0))),
    ]),
  )
}

/** Ours with one admission over the others with theirs. */
function compare(what: string, ours: Admission, theirs: Admission): void {
  const mine = goodput('adaptive', ours)
  const fixedBest = bestFixed(theirs)
  const against = (choice: TraceChoice) => (mine / goodput(choice, theirs)).toFixed(3)
  report.add(what, { fixed: fixedBest, overFixed: against(fixedBest), overTable: against('table') })
  report.note(
    `${what}: ${against(fixedBest)} of the best fixed length (${fixedBest}), ${against('table')} of the table, ` +
      `${against('oracle')} of one that knows acceptance and costs`,
  )
}
