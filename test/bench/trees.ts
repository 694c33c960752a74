/**
 * Trees of drafts against chains on the real engine, in one unified context.
 *
 * "steps": what a step of eight draft rows takes as a chain and as trees of more and more paths, forks opened and closed included.
 * "texts": real prompts, greedy, with proposals of the tri-gram table: as trees, as chains, and none, on the same runner.
 * "order": how far the logits behind refused branches move, and how often that changes the greedy token.
 * Times are CPU time of this process, whose one compute thread does everything: others on the machine disturb it less than the clock.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/trees.ts [--table smol.trigrams] [--rounds 3] [--quick] [--only steps|texts|order]
 */
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { TrigramProposer } from '../../gpu-worker/core/speculation/proposers/trigramProposer.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { loadTrigramTable } from '../../gpu-worker/trigramTableFile.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { measureOrder } from './harness/treeOrder.ts'
import { measureSteps, type StepShape, stepShapes } from './harness/treeSteps.ts'
import { measureTexts, type TextSide } from './harness/treeTexts.ts'
import { tasks } from './harness/taskPrompts.ts'

const options = readOptions({ rounds: 3, quickRounds: 1 })
const report = new Report('trees', 'Trees of drafts against chains in a unified context, one thread')
const wants = (section: string) => options.only === null || options.only === section
const tablePath = options.text('table', '')

if (wants('steps')) await reportSteps()
if (wants('texts')) await reportTexts()
if (wants('order')) await reportOrder()
process.exit(report.finish({ quick: options.quick }))

function open(
  kvLayout: 'split' | 'unified',
  { slots, kvCacheType = 'f16' }: { slots: number; kvCacheType?: 'f16' | 'q8_0' },
): Promise<ModelRunner> {
  return createLlamaRunner({
    modelPath: modelPath(),
    slots,
    contextTokensMax: 1_024,
    kvLayout,
    kvCacheType,
    threads: 1,
    backend: 'auto',
    embeddings: false,
    host: process,
    clock: systemClock,
    log: silentLog,
  })
}

async function reportSteps(): Promise<void> {
  const rows: string[][] = []
  for (const streams of [1, 4])
    for (const contextTokens of [100, 600]) {
      await using unified = await open('unified', { slots: streams })
      await using split = await open('split', { slots: streams })
      const runners = { unified, split }
      const times = await measureSteps(runners, { streams, contextTokens, rounds: options.quick ? 3 : 15 })
      rows.push([`${streams}, ${contextTokens}`, ...times.map((ms) => ms.toFixed(1))])
      report.note(rows.at(-1)?.join(' | ') ?? '')
    }
  const header = stepShapes.map(({ name }: StepShape) => name)
  report.table('CPU ms of one step: eight draft rows for each stream', ['streams, context', ...header], rows)
}

async function reportTexts(): Promise<void> {
  await using runner = await open('unified', { slots: 1 })
  const table = tablePath === '' ? null : await loadTrigramTable(tablePath)
  const sides: TextSide[] = [
    { name: 'none', propose: () => null },
    { name: 'chains', propose: () => asChains(new TrigramProposer(table)) },
    { name: 'trees', propose: () => new TrigramProposer(table) },
  ]
  const results = await measureTexts(runner, sides, {
    rounds: options.rounds,
    tokensMax: options.value('tokens', options.quick ? 48 : 128),
  })
  report.add('texts', results)
  report.table(
    'CPU ms a token (tokens a step)',
    ['', ...tasks],
    sides.map(({ name }) => [
      name,
      ...tasks.map((task) => {
        const one = results.find((result) => result.side === name && result.task === task)
        return one === undefined ? '-' : `${one.msPerToken.toFixed(2)} (${one.tokensPerStep.toFixed(2)})`
      }),
    ]),
  )
}

async function reportOrder(): Promise<void> {
  const rows: string[][] = []
  for (const kvCacheType of ['q8_0', 'f16'] as const)
    for (const promptTokens of [40, 600]) {
      await using runner = await open('unified', { slots: 1, kvCacheType })
      const { first, later, flips, compared } = await measureOrder(runner, { promptTokens, tokens: 96 })
      rows.push([`${kvCacheType}, ${promptTokens}`, String(first), later.toFixed(2), `${flips} of ${compared}`])
    }
  report.table(
    'logits behind refused branches, against none: greatest difference, greedy tokens changed',
    ['cache, prompt', 'first tree', 'later', 'changed'],
    rows,
  )
}

/** Never asked for a tree. */
function asChains(proposer: Proposer): Proposer {
  return {
    method: proposer.method,
    propose: (requests) => proposer.propose(requests.map((request) => ({ ...request, depthMax: request.tokensMax }))),
    forget: (key) => proposer.forget(key),
  }
}
