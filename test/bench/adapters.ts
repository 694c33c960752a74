/**
 * What LoRA adapters cost on a real model: loading and freeing one, decoding with one, and attaching another from one step to the next.
 *
 * Run: `npm run bench -- adapters [--threads 2] [--rounds 60]`. Adapters of two sizes are made with random weights; their cost does not
 * depend on the weights. Wants the machine for itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '#runtime/log.ts'
import { AdapterShelf, type NativeAdapter } from '../../gpu-worker/llama/adapters.ts'
import { loadLibrary } from '../../gpu-worker/llama/library.ts'
import { writeLoraFile } from '../../gpu-worker/llama/loraFile.fixture.ts'
import { NativeContext } from '../../gpu-worker/llama/nativeContext.ts'
import { NativeModel } from '../../gpu-worker/llama/nativeModel.ts'
import { testModel } from '../behaviour/modelRunnerModel.ts'
import { readOptions } from './harness/options.ts'
import { Report } from './harness/report.ts'
import { quantile } from './harness/statistics.ts'

const options = readOptions({ rounds: 60, quickRounds: 6 })
const threads = options.value('threads', availableParallelism())
const sequences = 8
const contextTokens = 128
const sizes = {
  small: { rank: 8, targets: ['attn_q', 'attn_v'] },
  large: { rank: 16, targets: ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_up', 'ffn_gate', 'ffn_down'] },
} as const

const found = testModel()
if (found.kind === 'missing') throw new Error(found.reason)
const folder = await mkdtemp(join(tmpdir(), 'bench-adapters-'))
const model = await NativeModel.load(loadLibrary({ backend: 'auto', host: process, log: silentLog }), found.path)
const context = await NativeContext.open(model, {
  sequences,
  cellsMax: sequences * 512,
  kvType: 'f16',
  kvLayout: 'split',
  batchTokensMax: 2_048,
  microBatchTokensMax: 512,
  threads,
  embeddings: false,
})
const shelf = new AdapterShelf(model)
const report = new Report('adapters', 'LoRA adapters on the real model')

const loads: string[][] = []
const steps: string[][] = []
for (const [size, { rank, targets }] of Object.entries(sizes)) {
  const paths = [1, 2].map((seed) => join(folder, `${size}-${seed}.gguf`))
  for (const [seed, path] of paths.entries()) await writeLoraFile(path, found.path, { seed, rank, targets })
  loads.push(await loadRow(size, paths[0] ?? ''))
  const [first, second] = await Promise.all(paths.map((path) => shelf.load(path, path)))
  if (first === undefined || second === undefined) throw new Error('two adapters were to be loaded')
  for (const rows of [1, sequences]) steps.push([size, String(rows), ...(await stepRow(rows, first, second))])
  context.attach(null)
  first[Symbol.dispose]()
  second[Symbol.dispose]()
}
report.table('Loading one, warm', ['adapter', 'MiB', 'load, median ms', 'slowest ms'], loads)
report.table(`One step after ${contextTokens} tokens, ${threads} threads, median ms`, stepHeader(), steps)
context[Symbol.dispose]()
model[Symbol.dispose]()
await rm(folder, { recursive: true })
process.exit(report.finish({ quick: options.quick }))

function stepHeader(): string[] {
  return ['adapter', 'rows', 'no adapter', 'the same adapter', 'another one each step', 'cost of a switch']
}

async function loadRow(size: string, path: string): Promise<string[]> {
  const times: number[] = []
  let bytes = 0
  for (let i = 0; i < Math.max(4, options.rounds / 4); i++) {
    const startedAt = performance.now()
    using adapter = await shelf.load(path, path)
    times.push(performance.now() - startedAt)
    bytes = adapter.bytes
  }
  report.add(`load ${size}`, { bytes, times })
  return [size, (bytes / 2 ** 20).toFixed(2), quantile(times, 0.5).toFixed(2), quantile(times, 1).toFixed(2)]
}

async function stepRow(rows: number, first: NativeAdapter, second: NativeAdapter): Promise<string[]> {
  const plain = await stepTimes(rows, () => null)
  const same = await stepTimes(rows, () => first)
  const other = await stepTimes(rows, (i) => (i % 2 === 0 ? second : first))
  report.add(`steps ${first.bytes} bytes, ${rows} rows`, { plain, same, other })
  const [a, b, c] = [plain, same, other].map((times) => quantile(times, 0.5))
  return [a, b, c, (c ?? 0) - (b ?? 0)].map((ms) => (ms ?? 0).toFixed(2))
}

async function stepTimes(rows: number, adapterOf: (step: number) => NativeAdapter | null): Promise<number[]> {
  const slots = Array.from({ length: rows }, (_, slot) => slot)
  context.attach(adapterOf(0))
  for (let slot = 0; slot < sequences; slot++) context.truncate(slot, 0)
  const prompt = Array.from({ length: contextTokens }, (_, i) => 1_000 + i)
  await context.decode(
    slots.map((slot) => ({ slot, position: 0, tokens: prompt, logitsForLast: 1 })),
    { isBrief: true },
  )
  const times: number[] = []
  for (let step = 0; step < options.rounds + 4; step++) {
    const startedAt = performance.now()
    context.attach(adapterOf(step))
    const position = contextTokens + step
    await context.decode(
      slots.map((slot) => ({ slot, position, tokens: [2_000 + step], logitsForLast: 1 })),
      { isBrief: true },
    )
    // The first few steps after a prompt still make room.
    if (step >= 4) times.push(performance.now() - startedAt)
  }
  return times
}
