/**
 * Microseconds per row of the sampler, on synthetic logits shaped like a language model's: a Gaussian bulk and a few peaks.
 *
 * Run: `node test/bench/sampling.ts`. CPU time of one thread, so that a busy machine does not
 * matter; medians over rounds; the cost of copying a fresh row is measured and taken off.
 */
import { parseArgs } from 'node:util'
import { samplingDefaults, type Sampling } from '#contracts/sampling.ts'
import { createSampler } from '../../gpu-worker/core/sampling/sampler.ts'
import { type RowShape, syntheticRow } from './harness/syntheticLogits.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    tokens: { type: 'string', default: '49152,262144' },
    json: { type: 'boolean' },
  },
})
const rounds = Number(values.rounds)
// CPU time is counted in ticks of a few milliseconds on some machines: a round must be many.
const rowsPerRound = 512

const cases: Record<string, Partial<Sampling>> = {
  greedy: { temperature: 0 },
  'T 0.8': { temperature: 0.8 },
  'T 1': { temperature: 1 },
  'T 0.8, top_p 0.95': { temperature: 0.8, topP: 0.95 },
  'T 1, top_p 0.9': { temperature: 1, topP: 0.9 },
  'T 0.8, min_p 0.05': { temperature: 0.8, minP: 0.05 },
  'T 0.8, top_k 40, top_p 0.95': { temperature: 0.8, topK: 40, topP: 0.95 },
  'T 0.8, top_p 0.95, penalties': { temperature: 0.8, topP: 0.95, presencePenalty: 0.5, repetitionPenalty: 1.1 },
  'greedy, logprobs 20': { temperature: 0, logprobs: 20 },
  'T 0.8, top_p 0.95, logprobs 20': { temperature: 0.8, topP: 0.95, logprobs: 20 },
}

const results = values.tokens
  .split(',')
  .map(Number)
  .flatMap((vocabularySize) =>
    (['peaked', 'flat'] satisfies RowShape[]).flatMap((shape) => {
      const rows = Array.from({ length: 8 }, (_, i) => syntheticRow({ vocabularySize, shape, seed: i }))
      return Object.entries(cases).map(([name, sampling]) => ({
        vocabularySize,
        shape,
        name,
        microsecondsPerRow: measure({ vocabularySize, rows, sampling }),
      }))
    }),
  )
if (values.json) console.log(JSON.stringify(results))
else console.table(results)

function measure(options: { vocabularySize: number; rows: Float32Array[]; sampling: Partial<Sampling> }): number {
  const { vocabularySize, rows } = options
  const prompt = Array.from({ length: 512 }, (_, i) => (i * 97) % vocabularySize)
  const sampling: Sampling = { ...samplingDefaults, seed: 7, ...options.sampling }
  const sampler = createSampler({ sampling, vocabularySize, endTokens: [2], prompt })
  for (let i = 0; i < 256; i++) sampler.accept((i * 31) % vocabularySize)
  const logits = new Float32Array(vocabularySize)
  const copying = () => eachRow(rows, (row) => logits.set(row))
  const sampled = () =>
    eachRow(rows, (row, position) => {
      logits.set(row)
      sampler.sample({ logits, position })
    })
  sampled()
  const samples = Array.from({ length: rounds }, () => sampled() - copying())
  return Math.round((samples.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0) * 10) / 10
}

/** CPU microseconds per row. */
function eachRow(rows: Float32Array[], work: (row: Float32Array, position: number) => void): number {
  const start = process.threadCpuUsage()
  for (let i = 0; i < rowsPerRound; i++) work(rows[i % rows.length] ?? new Float32Array(0), i)
  const { user, system } = process.threadCpuUsage(start)
  return (user + system) / rowsPerRound
}
