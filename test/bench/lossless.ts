/**
 * Must be equal: 500 prompts, every way of drafting against none, greedy and at temperature 0.8, on the real model with the cache that
 * makes rows independent of what shares the step. Counts the texts that differ; the default cache is counted beside it where it is asked for.
 *
 *   PACELINE_TEST_MODEL=model.gguf node test/bench/lossless.ts [--from 0] [--prompts 500] [--tokens 24] [--caches reproducible,default]
 *     [--temperatures 0,0.8] [--quick]
 *
 * It counts and times nothing, so it may run beside others, and in parts: with `--from` it is joined to what earlier parts have left.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import { draftingPrompts } from '../behaviour/draftingPrompts.ts'
import { type Answer, openModel, textsOf } from '../behaviour/engineStand.ts'
import { answersOf, type Way, ways } from '../behaviour/waysOfDrafting.ts'
import { earlierList, joinParts } from './harness/earlierResults.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { sum } from './harness/statistics.ts'

/** One way of drafting over the prompts from `from` on. */
const Part = z.object({
  cache: z.enum(['reproducible', 'default']),
  temperature: z.number(),
  way: z.string(),
  from: z.int(),
  prompts: z.int(),
  tokens: z.int(),
  differences: z.int(),
  accepted: z.int(),
  drafted: z.int(),
})
type Part = z.infer<typeof Part>

const name = 'lossless'
const options = readOptions({ rounds: 1, quickRounds: 1 })
const from = options.value('from', 0)
const prompts = options.value('prompts', options.quick ? 20 : 500)
const maxTokens = options.value('tokens', 24)
const caches = z.array(Part.shape.cache).parse(options.text('caches', 'reproducible,default').split(','))
const temperatures = options.text('temperatures', '0,0.8').split(',').map(Number)
const draftPath = prunedDraft(modelPath(), join(tmpdir(), 'paceline-test-models'))

const report = new Report(name, 'Drafting changes no text')
const measured: Part[] = []
for (const cache of caches)
  for (const temperature of temperatures) measured.push(...(await measure(cache, temperature)))

const isPart = options.text('from', '') !== '' && !options.quick
const keyOf = (part: Part) => [part.cache, part.temperature, part.way, part.from].join(' ')
const parts = isPart ? joinParts(earlierList(name, 'parts', Part), measured, keyOf) : measured
report.add('parts', parts)
tell()
process.exit(report.finish({ quick: options.quick }))

async function measure(cache: Part['cache'], temperature: number): Promise<Part[]> {
  const requests = draftingPrompts(from + prompts, { temperature, maxTokens }).slice(from)
  const reproducible = cache === 'reproducible'
  await using runner = await openModel(modelPath(), { slots: 16, contextTokensMax: 192, reproducible })
  const answersBy = (way: Way | 'nobody') => answersOf(way, requests, { runner, draftPath })
  const plain = await answersBy('nobody')
  const found: Part[] = []
  for (const way of ways) {
    const part = { cache, temperature, way, from, prompts, ...compared(await answersBy(way), plain) }
    report.note(`${cache}, temperature ${temperature}, ${way}: ${part.differences} of ${prompts} differ`)
    found.push(part)
  }
  return found
}

function compared(answers: readonly Answer[], plain: readonly Answer[]) {
  const expected = textsOf(plain)
  const total = (of: (answer: Answer) => number) => sum(answers.map(of))
  return {
    tokens: total(({ choices }) => sum(choices.map(({ tokens }) => tokens.length))),
    differences: textsOf(answers).filter((text, i) => text !== expected[i]).length,
    accepted: total(({ usage }) => usage.acceptedTokens),
    drafted: total(({ usage }) => usage.draftTokens),
  }
}

function tell(): void {
  const groups = Map.groupBy(parts, ({ cache, temperature, way }) => `${cache} ${temperature} ${way}`)
  const rows = [...groups.values()].map((group) => {
    const total = (of: (part: Part) => number) => sum(group.map(of))
    const [{ cache, temperature, way } = measured[0] ?? fail()] = group
    const differences = total((part) => part.differences)
    if (cache === 'reproducible') {
      const what = `differences at temperature ${temperature}, ${way}`
      report.require({ what, measured: differences, bound: { atMost: 0 }, unit: '' })
    }
    const accepted = `${total((part) => part.accepted)} of ${total((part) => part.drafted)}`
    const of = `${differences} of ${total((part) => part.prompts)}`
    return [cache, String(temperature), way, of, String(total((part) => part.tokens)), accepted]
  })
  report.table(
    'texts that differ from those without drafts',
    ['cache', 'temperature', 'drafting', 'differences', 'tokens', 'accepted of drafted'],
    rows,
  )
}

function fail(): never {
  throw new Error('nothing was compared')
}
