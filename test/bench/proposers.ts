/**
 * What proposals are worth, without an engine in the way: greedy answers of the real model are replayed, and at each step a proposer
 * is asked and judged by what the model wrote. Chains of fixed length show the proposer; "cut" cuts each by its own confidence
 * against the measured cost of a batch, as a controller would, and gives the speed-up that this would be.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/proposers.ts [--table smol.trigrams] [--prompts 8] [--tokens 160] [--quick]
 *   [--only search|replay] [--variants all] [--texts written.json: kept there, and taken from there the next time]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { writeTexts } from '../../gpu-worker/calibration/writeTexts.ts'
import { loadTrigramTable } from '../../gpu-worker/trigramTableFile.ts'
import { measureBatchCost } from './harness/batchCost.ts'
import { openModel } from './harness/openModel.ts'
import { readOptions } from './harness/options.ts'
import { type Replay, replay, type Text } from './harness/replay.ts'
import { measureSearch, widestSearch } from './harness/searchTime.ts'
import { Report } from './harness/report.ts'
import { type Task, taskPrompt, tasks } from './harness/taskPrompts.ts'
import { variants } from './harness/proposerVariants.ts'

const Texts = z.record(z.enum(tasks), z.array(z.object({ prompt: z.array(z.int()), answer: z.array(z.int()) })))

const options = readOptions({ rounds: 3, quickRounds: 1 })
const textsFile = options.text('texts', '')
const tablePath = options.text('table', '')
const table = tablePath === '' ? null : await loadTrigramTable(tablePath)
const report = new Report('proposers', 'Proposals on the real model’s own greedy text')
const wants = (section: string) => options.only === null || options.only === section

const written = await texts()
if (wants('search')) reportSearch()
if (wants('replay')) reportReplay(await batchCost())
process.exit(report.finish({ quick: options.quick }))

async function batchCost(): Promise<number[]> {
  const given = options.text('cost', '')
  if (given !== '') return given.split(',').map(Number)
  await using runner = await openModel({ slots: 1, contextTokensMax: 1_024, threads: options.value('threads', 2) })
  const ms = await measureBatchCost(runner, { rowsMax: 17, rounds: options.quick ? 3 : 9 })
  const relative = ms.map((value) => value / (ms[0] ?? 1))
  report.table(
    'cost of a batch',
    ['rows', ...ms.map((_, i) => String(i + 1))],
    [
      ['ms', ...ms.map((value) => value.toFixed(1))],
      ['relative', ...relative.map((value) => value.toFixed(2))],
    ],
  )
  return relative
}

function reportSearch(): void {
  const rounds = { rounds: options.quick ? 300 : 3_000 }
  const text = tasks.flatMap((task) => written[task].flatMap(({ prompt, answer }) => [...prompt, ...answer]))
  const rows = [
    measureSearch('no table, the text alone', { table: null, text }, rounds),
    ...(table === null ? [] : [measureSearch(`table of ${table.entries} entries`, { table, text }, rounds)]),
    widestSearch(rounds),
  ]
  report.table(
    'one search',
    ['', 'nodes', 'median µs', 'p99 µs', 'bytes made'],
    rows.map((row) => [row.name, ...[row.nodes, row.median, row.p99, row.bytes].map((value) => value.toFixed(0))]),
  )
  report.add('search', rows)
  for (const { name, p99 } of rows)
    report.require({ what: `search, ${name}: p99`, measured: p99, bound: { atMost: 1_000 }, unit: 'µs' })
}

function reportReplay(cost: readonly number[]): void {
  const chosen = variants(table).filter(
    ({ name }) => options.text('variants', 'all') === 'all' || name.includes(options.text('variants', '')),
  )
  const results = chosen.flatMap((variant) =>
    tasks.map((task) => ({ variant: variant.name, task, ...replay(variant, written[task], cost) })),
  )
  report.add('replay', results)
  const cell = (name: string, show: (one: Replay) => string) =>
    tasks.map((task) => show(results.find((one) => one.variant === name && one.task === task) ?? results[0] ?? fail()))
  const header = ['', ...tasks]
  report.table(
    'tokens per target call (hit rate, accepted/drafted)',
    header,
    chosen.map(({ name }) => [
      name,
      ...cell(
        name,
        (one) => `${one.tokensPerCall.toFixed(2)} (${one.hitRate.toFixed(2)}, ${one.acceptance.toFixed(2)})`,
      ),
    ]),
  )
  report.table(
    'speed-up if cut by confidence (tokens per call; confidence told / came true)',
    header,
    chosen.map(({ name }) => [
      name,
      ...cell(
        name,
        (one) =>
          `${one.cut.speedUp.toFixed(2)} (${one.cut.tokensPerCall.toFixed(2)}; ${one.told.toFixed(2)} / ${one.came.toFixed(2)})`,
      ),
    ]),
  )
}

function fail(): never {
  throw new Error('nothing was replayed')
}

async function texts(): Promise<Record<Task, Text[]>> {
  if (textsFile !== '' && existsSync(textsFile)) return Texts.parse(JSON.parse(readFileSync(textsFile, 'utf8')))
  const prompts = options.value('prompts', options.quick ? 2 : 8)
  await using runner = await openModel({ slots: 8, contextTokensMax: 1_024, threads: options.value('threads', 2) })
  const written: Record<Task, Text[]> = { chat: [], summarise: [], 'code-edit': [], copy: [] }
  for (const task of tasks) {
    const asked = Array.from({ length: prompts }, (_, i) => taskPrompt(task, options.value('seed', 1) * 1_000 + i))
    const writing = { tokensMax: options.value('tokens', options.quick ? 48 : 160), temperature: 0, seed: 0 }
    for await (const text of writeTexts(runner, asked, writing)) written[task].push(text)
  }
  if (textsFile !== '') writeFileSync(textsFile, JSON.stringify(written))
  return written
}
