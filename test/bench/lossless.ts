/**
 * Must be equal: 500 prompts, every way of drafting against none, greedy and at temperature 0.8, on the real model with the cache that
 * makes rows independent of what shares the step. Counts the texts that differ; the default cache is counted beside it.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/lossless.ts [--prompts 500] [--tokens 24] [--quick]
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dispatch } from '#contracts/messages.ts'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import { draftingPrompts } from '../behaviour/draftingPrompts.ts'
import { type Answer, openModel, textsOf } from '../behaviour/engineStand.ts'
import { answersOf, ways } from '../behaviour/waysOfDrafting.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const prompts = options.value('prompts', options.quick ? 20 : 500)
const maxTokens = options.value('tokens', 24)
const report = new Report('lossless', `Drafting changes no text: ${prompts} prompts x ${maxTokens} tokens`)
const draftPath = prunedDraft(modelPath(), join(tmpdir(), 'paceline-test-models'))
const rows: string[][] = []
for (const reproducible of [true, false])
  for (const temperature of [0, 0.8]) await measure(reproducible, draftingPrompts(prompts, { temperature, maxTokens }))
report.table(
  'texts that differ from those without drafts',
  ['cache', 'temperature', 'drafting', 'differences', 'accepted of drafted'],
  rows,
)
process.exit(report.finish({ quick: options.quick }))

async function measure(reproducible: boolean, requests: readonly Partial<Dispatch>[]): Promise<void> {
  await using runner = await openModel(modelPath(), { slots: 16, contextTokensMax: 192, reproducible })
  const temperature = requests[0]?.sampling?.temperature ?? 0
  const plain = textsOf(await answersOf('nobody', requests, { runner, draftPath }))
  for (const way of ways) {
    const answers = await answersOf(way, requests, { runner, draftPath })
    const differences = textsOf(answers).filter((text, i) => text !== plain[i]).length
    const cache = reproducible ? 'reproducible' : 'default'
    rows.push([cache, String(temperature), way, `${differences} of ${prompts}`, shareOf(answers)])
    report.add(`${cache}, ${temperature}, ${way}`, { differences, prompts })
    if (!reproducible) continue
    const what = `differences at temperature ${temperature}, ${way}`
    report.require({ what, measured: differences, bound: { atMost: 0 }, unit: '' })
  }
}

function shareOf(answers: readonly Answer[]): string {
  const sum = (of: (answer: Answer) => number) => answers.reduce((total, answer) => total + of(answer), 0)
  return `${sum(({ usage }) => usage.acceptedTokens)} of ${sum(({ usage }) => usage.draftTokens)}`
}
