/**
 * Speculation on real text: one setting of ours (`auto`) against llama-server's best setting for each kind of task.
 *
 * The same model, threads, context and KV type; greedy; every prompt is used once per side and never again. The peer's best setting
 * is chosen on the even rounds and compared on the odd ones, so that it is not the luckiest of many. Speed is that of the decode
 * phase of one stream: tokens after the first one over the time from the first to the last.
 *
 *   LLAMA_SERVER=/path/to/llama-server PACELINE_TEST_MODEL=model.gguf node test/bench/drafting.ts [--rounds 6] [--quick]
 *     [--threads 1,2] [--tokens 160] [--prompts 2] [--only copy]
 */
import { scratchFolder } from './harness/cacheFolder.ts'
import { type Answer, HttpClient } from './harness/client.ts'
import type { Contender } from './harness/contender.ts'
import { type EngineSettings, llamaServerPath, startLlamaServer } from './harness/llamaServer.ts'
import { chatBody, chatPath, isComplete } from './harness/load.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { startPaceline } from './harness/pacelineContender.ts'
import { watch } from './harness/processes.ts'
import { figure, print, Report, spreadText } from './harness/report.ts'
import { interleave, type Round, summarise } from './harness/rounds.ts'
import { contentOf } from './harness/sse.ts'
import { median } from './harness/statistics.ts'
import { type Task, taskPrompt, tasks } from './harness/taskPrompts.ts'

const options = readOptions({ rounds: 6, quickRounds: 2 })
const tokensMax = options.value('tokens', options.quick ? 96 : 160)
const promptsPerRound = options.value('prompts', 2)
const streamsMany = 8
const ours = { off: 'paceline, off', auto: 'paceline, auto' } as const

/** What does best in at least one kind of task among many that were tried, and none. */
const peerSettings: Readonly<Record<string, string>> = {
  none: '',
  'ngram-simple 3/8': '--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 8',
  'ngram-mod 6/2-16':
    '--spec-type ngram-mod --spec-ngram-mod-n-match 6 --spec-ngram-mod-n-min 2 --spec-ngram-mod-n-max 16',
  'ngram-map-k 3/8': '--spec-type ngram-map-k --spec-ngram-map-k-size-n 3 --spec-ngram-map-k-size-m 8',
  'ngram-cache': '--spec-type ngram-cache',
}

interface Sample {
  readonly tokensPerSecond: number
  readonly failure: string | null
}
type Rounds = ReadonlyMap<string, readonly Round<Sample>[]>

const report = new Report(
  'drafting',
  'Drafting: speculation on real text, ours on auto against the best setting of llama-server',
)
for (const threads of options.text('threads', '1,2').split(',').map(Number)) await measureThreads(threads)
process.exit(report.finish({ quick: options.quick }))

async function measureThreads(threads: number): Promise<void> {
  const contenders = await startAll({
    modelPath: modelPath(),
    threads,
    slots: streamsMany,
    contextTokensMax: 2_048,
    kvCacheType: 'f16',
    logFolder: scratchFolder('bench-drafting'),
  })
  try {
    for (const task of tasks)
      if (options.only === null || options.only === task) await measureTask(task, threads, contenders)
    if (options.only === null)
      await measureMany(
        threads,
        contenders.filter(({ target }) => target.name.startsWith('paceline')),
      )
  } finally {
    for (const contender of contenders) await contender.stop()
  }
}

async function startAll(settings: EngineSettings): Promise<Contender[]> {
  const contenders = [
    await startPaceline(settings, { name: ours.off }),
    await startPaceline(settings, { name: ours.auto, speculation: { method: 'auto', draftTokensMax: 16 } }),
  ]
  const binary = llamaServerPath()
  if (binary === null) report.note('LLAMA_SERVER is not set: no comparison with llama-server')
  else
    for (const [name, words] of Object.entries(peerSettings)) {
      const flags = words.split(' ').filter((word) => word !== '')
      const { target, child } = await startLlamaServer(binary, settings, { name, flags })
      contenders.push({ target, pids: { server: [child.pid] }, stop: () => child.stop() })
    }
  return contenders
}

function seedOf(task: Task, round: number, index: number): number {
  return (1 + tasks.indexOf(task)) * 100_000 + round * 100 + index
}

async function measureTask(task: Task, threads: number, contenders: readonly Contender[]): Promise<void> {
  const title = `${task}, ${threads} compute thread${threads === 1 ? '' : 's'}`
  const rounds = await run(contenders, title, async (client, round) => {
    const answers: Answer[] = []
    for (let index = 0; index < promptsPerRound; index += 1)
      answers.push(await ask(client, taskPrompt(task, seedOf(task, round, index))))
    return decodeSpeed(answers)
  })
  tell(title, rounds)
  if (rounds.size > 2) compare(task, threads, rounds)
  else requireAtLeast(`${title}: auto against off`, speedRatio(rounds, ours.auto, ours.off), task === 'chat' ? 0.98 : 1)
}

/** Ours alone: nobody may lose by speculation where the batch is full. */
async function measureMany(threads: number, contenders: readonly Contender[]): Promise<void> {
  const title = `${streamsMany} streams of chat, ${threads} compute thread${threads === 1 ? '' : 's'}`
  const rounds = await run(contenders, title, async (client, round) => {
    const startedAt = performance.now()
    const prompts = Array.from({ length: streamsMany }, (_, i) => taskPrompt('chat', 900_000 + round * 100 + i))
    const answers = await Promise.all(prompts.map((prompt) => ask(client, prompt)))
    const tokens = answers.reduce((sum, answer) => sum + contentOf(answer).completionTokens, 0)
    return (1_000 * tokens) / (performance.now() - startedAt)
  })
  tell(title, rounds)
  requireAtLeast(`${title}: auto against off`, speedRatio(rounds, ours.auto, ours.off), 0.97)
}

/** To its natural end: what is forced beyond it repeats itself, which is what prompt lookup is best at. */
async function ask(client: HttpClient, prompt: string): Promise<Answer> {
  const answer = await client.post(chatPath, { ...chatBody({ prompt, tokens: tokensMax }), ignore_eos: false })
  if (!isComplete(answer))
    throw new Error(`status ${answer.status}: ${answer.error?.message ?? answer.body.slice(0, 200)}`)
  return answer
}

function decodeSpeed(answers: readonly Answer[]): number {
  let tokens = 0
  let ms = 0
  for (const answer of answers) {
    const { firstAt, contentAt } = answer
    tokens += Math.max(0, contentOf(answer).completionTokens - 1)
    ms += (contentAt.at(-1) ?? 0) - (firstAt ?? 0)
  }
  return (1_000 * tokens) / ms
}

function run(
  contenders: readonly Contender[],
  title: string,
  speed: (client: HttpClient, round: number) => Promise<number>,
): Promise<Map<string, Round<Sample>[]>> {
  const sides = contenders.map(({ target, pids }) => ({
    name: target.name,
    run: async (round: number) => {
      const client = new HttpClient(target, streamsMany)
      try {
        return await watch(pids, () =>
          speed(client, round).then(
            (tokensPerSecond): Sample => ({ tokensPerSecond, failure: null }),
            (error: unknown): Sample => ({ tokensPerSecond: Number.NaN, failure: String(error) }),
          ),
        )
      } finally {
        await client.close()
      }
    },
  }))
  return interleave(sides, options.rounds, (side, round) => {
    if (round.value.failure !== null) print(`  ${title}: ${side}: ${round.value.failure}`)
  })
}

function speedOf(round: Round<Sample>): number {
  return round.value.tokensPerSecond
}

function tell(title: string, rounds: Rounds): void {
  report.add(title, Object.fromEntries(rounds))
  const off = rounds.get(ours.off) ?? []
  report.table(
    title,
    ['side', 'tok/s', 'against ours, off'],
    [...rounds].map(([name, own]) => [
      name,
      spreadText(summarise(own, speedOf)),
      figure(summarise(own, speedOf).median / summarise(off, speedOf).median),
    ]),
  )
}

/** The peer's best setting by the even rounds, judged on the odd ones. */
function compare(task: Task, threads: number, rounds: Rounds): void {
  const peers = [...rounds.keys()].filter((name) => Object.hasOwn(peerSettings, name))
  const best = peers.reduce((a, b) => (medianOf(rounds, b, isEven) > medianOf(rounds, a, isEven) ? b : a))
  const against = (name: string) => medianOf(rounds, name, isOdd) / medianOf(rounds, best, isOdd)
  const plain = medianOf(rounds, ours.off, isOdd) / medianOf(rounds, 'none', isOdd)
  const where = `${task}, ${threads} thread(s)`
  report.note(`${where}: best of llama-server by the even rounds is ${best}; plain against plain ${figure(plain)}`)
  requireAtLeast(`${where}: auto against ${best}`, against(ours.auto), task === 'chat' ? plain : 1)
  requireAtLeast(`${where}: auto against off`, speedRatio(rounds, ours.auto, ours.off), task === 'chat' ? 0.98 : 1)
}

function isEven({ number }: Round<Sample>): boolean {
  return number % 2 === 0
}

function isOdd(round: Round<Sample>): boolean {
  return !isEven(round)
}

function medianOf(rounds: Rounds, name: string, wanted: (round: Round<Sample>) => boolean): number {
  return median((rounds.get(name) ?? []).filter(wanted).map(speedOf).filter(Number.isFinite))
}

/** Median over rounds of the ratio within a round. */
function speedRatio(rounds: Rounds, a: string, b: string): number {
  const others = rounds.get(b) ?? []
  const ratios = (rounds.get(a) ?? []).flatMap((round) => {
    const other = others.find(({ number }) => number === round.number)
    return other === undefined ? [] : [speedOf(round) / speedOf(other)]
  })
  return median(ratios.filter(Number.isFinite))
}

function requireAtLeast(what: string, measured: number, atLeast: number): void {
  report.require({ what, measured, bound: { atLeast: Number(atLeast.toPrecision(3)) }, unit: 'x' })
}
