/**
 * Bench (a): the whole of Paceline over HTTP (router, NATS, SSE included) against llama-server and node-llama-cpp.
 *
 * Same model file, threads, context, KV type and requests; prefix caches off on all sides; sides alternate within each section.
 *
 *   LLAMA_SERVER=/path/to/llama-server PACELINE_TEST_MODEL=model.gguf node test/bench/worker.ts [--rounds 5] [--quick]
 *     [--threads 1,2] [--only mixed] [--kv f16] [--sides paceline,llama-server,node-llama-cpp]
 */
import { cacheFolder, scratchFolder } from './harness/cacheFolder.ts'
import { HttpClient } from './harness/client.ts'
import { installNodeLlamaCpp, startNodeLlamaCpp } from './harness/nodeLlamaCpp.ts'
import { type EngineSettings, llamaServerPath, startLlamaServer } from './harness/llamaServer.ts'
import { modelPath } from './harness/model.ts'
import { type BenchOptions, readOptions } from './harness/options.ts'
import { startPaceline } from './harness/pacelineContender.ts'
import { watch } from './harness/processes.ts'
import { figure, print, Report, spreadText } from './harness/report.ts'
import { interleave, noiseMax, quietRounds, ratio, type Round, summarise } from './harness/rounds.ts'
import type { Contender } from './harness/contender.ts'
import { type Section, type Sample, sectionsOf } from './harness/workerSections.ts'

const options = readOptions({ rounds: 5, quickRounds: 2 })
const report = new Report('worker', 'Worker: Paceline over HTTP against llama-server and node-llama-cpp')

for (const threads of options.text('threads', '1,2').split(',').map(Number)) await measureThreads(threads)
process.exit(report.finish({ quick: options.quick }))

async function measureThreads(threads: number): Promise<void> {
  const contenders = await startAll(options, {
    modelPath: modelPath(),
    threads,
    slots: 8,
    contextTokensMax: 2_048,
    kvCacheType: options.text('kv', 'f16') === 'q8_0' ? 'q8_0' : 'f16',
    logFolder: scratchFolder('bench-worker'),
  })
  try {
    for (const section of sectionsOf(options)) await measureSection(section, threads, contenders)
  } finally {
    for (const contender of contenders) await contender.stop()
  }
}

async function startAll(given: BenchOptions, settings: EngineSettings): Promise<Contender[]> {
  const wanted = given.text('sides', 'paceline,llama-server,node-llama-cpp').split(',')
  const contenders: Contender[] = []
  if (wanted.includes('paceline')) contenders.push(await startPaceline(settings))
  const binary = llamaServerPath()
  if (binary === null) report.note('LLAMA_SERVER is not set: no comparison with llama-server')
  else if (wanted.includes('llama-server')) {
    const { target, child } = await startLlamaServer(binary, settings)
    contenders.push({ target, pids: { server: [child.pid] }, stop: () => child.stop() })
  }
  const folder = wanted.includes('node-llama-cpp') ? installNodeLlamaCpp(cacheFolder()) : null
  if (folder !== null) {
    const { target, child } = await startNodeLlamaCpp(folder, settings)
    contenders.push({ target, pids: { server: [child.pid] }, stop: () => child.stop() })
  }
  return contenders
}

async function measureSection(section: Section, threads: number, contenders: readonly Contender[]): Promise<void> {
  const title = `${section.name}, ${threads} compute thread${threads === 1 ? '' : 's'}`
  const sides = contenders.map(({ target, pids }) => ({
    name: target.name,
    run: async (round: number) => {
      const client = new HttpClient(target, 32)
      try {
        return await watch(pids, () => section.run(client, section.seed + round * 100 + threads))
      } finally {
        await client.close()
      }
    },
  }))
  const rounds = await interleave(sides, options.rounds, (side, round) => {
    if (round.value.failure !== null) print(`  ${title}: ${side}: ${round.value.failure}`)
  })
  report.add(title, Object.fromEntries(rounds))
  report.table(
    title,
    ['side', section.unit, 'ours against it', 'CPU ms per token', 'ours against it', 'others busy', 'quiet rounds'],
    [...rounds].map(([name, own]) => rowOf(name, own, rounds.get('paceline') ?? [])),
  )
  requireRatio(section, threads, rounds)
}

function valueOf(round: Round<Sample>): number {
  return round.value.failure === null ? round.value.value : Number.NaN
}

/** All processes of a side, the client not counted. */
function cpuPerToken(round: Round<Sample>): number {
  const spent = Object.entries(round.cpuMs).reduce((total, [who, ms]) => (who === 'client' ? total : total + ms), 0)
  return spent / Math.max(1, round.value.tokens)
}

function rowOf(name: string, own: readonly Round<Sample>[], ours: readonly Round<Sample>[]): string[] {
  const quiet = own.filter((round) => round.others <= noiseMax).length
  return [
    name,
    spreadText(summarise(own, valueOf)),
    name === 'paceline' ? '' : spreadText(ratio(ours, own, valueOf)),
    figure(summarise(own, cpuPerToken).median),
    // Less sensitive to neighbours than wall time: below 1 means that ours needs less.
    name === 'paceline' ? '' : figure(ratio(ours, own, cpuPerToken).median),
    figure(summarise(quietRounds(own), (round) => round.others).median),
    `${quiet} of ${own.length}`,
  ]
}

function requireRatio(section: Section, threads: number, rounds: ReadonlyMap<string, readonly Round<Sample>[]>): void {
  const bound = section.bound(threads)
  const ours = rounds.get('paceline')
  const peer = rounds.get('llama-server')
  if (bound === null || ours === undefined || peer === undefined) return
  const measured = ratio(ours, peer, valueOf).median
  report.require({ what: `${section.name}, ${threads} thread(s), against llama-server`, measured, bound, unit: 'x' })
}
