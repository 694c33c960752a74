/**
 * What a hint saves: steps of the target for answers that brought along a text which agrees with them in part, against the same answers
 * without one, and how many of the texts differ (none may). On the real model, with the cache that makes rows independent of what shares
 * the step. Both sides draft by prompt lookup, so what is saved is the hint's and not that of drafting.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/hints.ts [--prompts 12] [--tokens 32] [--temperatures 0,0.8] [--quick]
 *
 * It counts and times nothing, so it may run beside others.
 */
import type { Dispatch } from '#contracts/messages.ts'
import { NgramProposer } from '../../gpu-worker/core/speculation/proposers/ngramProposer.ts'
import { draftingPrompts } from '../behaviour/draftingPrompts.ts'
import { type Answer, EngineStand, openModel, textsOf } from '../behaviour/engineStand.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { sum } from './harness/statistics.ts'

/** What another model said, of what this one says and of what it says to another question. */
const hints: Readonly<Record<string, (own: string, other: string) => string>> = {
  'its first half': (own, other) => half(own, 'first') + half(other, 'second'),
  'its second half': (own, other) => half(other, 'first') + half(own, 'second'),
  'all of it': (own) => own,
  'nothing of it': (_own, other) => other,
}
const byHalf = ['its first half', 'its second half']

const options = readOptions({ rounds: 1, quickRounds: 1 })
const prompts = options.value('prompts', options.quick ? 4 : 12)
const maxTokens = options.value('tokens', options.quick ? 16 : 32)
const temperatures = options.text('temperatures', '0,0.8').split(',').map(Number)

const report = new Report('hints', 'A hint saves steps, and changes no text')
const runner = await openModel(modelPath(), { slots: 4, contextTokensMax: 256, reproducible: true })
const speculation = { method: 'ngram', controller: 'fixed', draftTokensMax: 8 } as const
const stand = new EngineStand(runner, { proposers: [new NgramProposer()], speculation })
const rows: string[][] = []
for (const temperature of temperatures) rows.push(...(await measure(temperature)))
report.table(
  'steps of the target',
  ['temperature', 'the hint holds', 'steps', 'of those without', 'texts that differ'],
  rows,
)
await stand[Symbol.asyncDispose]()
await runner[Symbol.asyncDispose]()
process.exit(report.finish({ quick: options.quick }))

async function measure(temperature: number): Promise<string[][]> {
  const requests = draftingPrompts(prompts, { temperature, maxTokens })
  const fresh = await stand.ask(requests)
  const texts = fresh.map(({ choices }) => choices[0]?.text ?? '')
  const tokens = sum(fresh.map(({ usage }) => usage.completionTokens))
  const found = [[String(temperature), '(no hint)', `${stepsOf(fresh)} for ${tokens} tokens`, '1', '']]
  for (const [holds, hintOf] of Object.entries(hints)) {
    const answers = await stand.ask(withHints(requests, texts, hintOf))
    const share = stepsOf(answers) / stepsOf(fresh)
    const expected = textsOf(fresh)
    const differences = textsOf(answers).filter((text, i) => text !== expected[i]).length
    const of = `temperature ${temperature}, the hint holds ${holds}`
    report.require({ what: `${of}: texts that differ`, measured: differences, bound: { atMost: 0 }, unit: '' })
    if (byHalf.includes(holds)) report.require({ what: of, measured: share, bound: { atMost: 0.8 }, unit: '' })
    found.push([String(temperature), holds, String(stepsOf(answers)), share.toFixed(2), String(differences)])
  }
  return found
}

function withHints(
  requests: readonly Partial<Dispatch>[],
  texts: readonly string[],
  hintOf: (own: string, other: string) => string,
): Partial<Dispatch>[] {
  return requests.map((request, i) => ({
    ...request,
    hint: hintOf(texts[i] ?? '', texts[(i + 1) % texts.length] ?? ''),
  }))
}

/** Each step gives one token and those of its draft that were accepted. */
function stepsOf(answers: readonly Answer[]): number {
  return sum(answers.map(({ usage }) => usage.completionTokens - usage.acceptedTokens))
}

function half(text: string, which: 'first' | 'second'): string {
  const middle = Math.floor(text.length / 2)
  return which === 'first' ? text.slice(0, middle) : text.slice(middle)
}
