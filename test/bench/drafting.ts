/**
 * Speculation on real text: one setting of ours (`auto`) against llama-server's best setting for each kind of task.
 *
 * The same model, threads, context and KV type; greedy; every prompt is used once per side and never again, and every side has answered one
 * of its kind before its first round counts. The peer's best setting is chosen on the even rounds and compared on the odd ones, so that it
 * is not the luckiest of many; sides are compared on the same prompts. Our workers know their cost curve before
 * anything else is started: measured beside a peer it would be wrong, and would disturb the peer. Speed is that of the decode phase
 * of one stream: tokens after the first one over the time from the first to the last.
 *
 *   LLAMA_SERVER=/path/to/llama-server PACELINE_TEST_MODEL=model.gguf node test/bench/drafting.ts [--rounds 6] [--quick]
 *     [--threads 1,2] [--tokens 160] [--prompts 4] [--only copy]
 *
 * About nine minutes for one kind of task with one number of threads. A part (with --only or --threads) is joined to what earlier parts left.
 */
import { scratchFolder } from './harness/cacheFolder.ts'
import { type Answer, HttpClient } from './harness/client.ts'
import type { Contender } from './harness/contender.ts'
import { earlierList, joinParts } from './harness/earlierResults.ts'
import { type EngineSettings, llamaServerPath, startLlamaServer } from './harness/llamaServer.ts'
import { machine } from './harness/machine.ts'
import { chatBody, chatPath, isComplete } from './harness/load.ts'
import { modelPath } from './harness/model.ts'
import { readOptions } from './harness/options.ts'
import { startPaceline } from './harness/pacelineContender.ts'
import { watch } from './harness/processes.ts'
import { figure, print, Report, spreadText } from './harness/report.ts'
import { interleave, ratio, type Round, summarise } from './harness/rounds.ts'
import { contentOf } from './harness/sse.ts'
import { sum } from './harness/statistics.ts'
import { type Task, taskPrompt, tasks } from './harness/taskPrompts.ts'
import {
  requireTask,
  resultOf,
  type Rounds,
  type Speed,
  speedOf,
  TaskResult,
  tellTasks,
} from './harness/taskResults.ts'

const options = readOptions({ rounds: 6, quickRounds: 2 })
const tokensMax = options.value('tokens', options.quick ? 96 : 160)
const promptsPerRound = options.value('prompts', options.quick ? 2 : 4)
const streamsMany = 8
/** Its seeds lie beside those of the rounds that count. */
const warmUpRound = 99
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

const name = 'drafting'
const sideNames = { ...ours, plain: 'none', peers: Object.keys(peerSettings) }
const { commit } = machine()
const report = new Report(
  name,
  'Drafting: speculation on real text, ours on auto against the best setting of llama-server',
)
const isPart = (options.only !== null || options.text('threads', '') !== '') && !options.quick
const keyOf = ({ task, threads }: TaskResult) => `${task} ${threads}`
let results = isPart ? earlierList(name, 'tasks', TaskResult) : []
for (const threads of options.text('threads', '1,2').split(',').map(Number)) await measureThreads(threads)

tellTasks(report, results)
for (const result of results) requireTask(report, result)
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
    if (options.only === null || options.only === 'many') await measureMany(threads, contenders.slice(0, 2))
  } finally {
    for (const contender of contenders) await contender.stop()
  }
}

async function startAll(settings: EngineSettings): Promise<Contender[]> {
  const contenders = [
    await startOurs(settings, { name: ours.off }),
    await startOurs(settings, { name: ours.auto, speculation: { method: 'auto', draftTokensMax: 16 } }),
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

async function startOurs(settings: EngineSettings, side: { name: string; speculation?: object }): Promise<Contender> {
  const contender = await startPaceline(settings, side)
  if (!(await contender.untilCurveIsKnown()))
    report.note(`${side.name}: starts with a guess, because no cost curve was measured`)
  return contender
}

function seedOf(task: Task, round: number, index: number): number {
  return (1 + tasks.indexOf(task)) * 100_000 + round * 100 + index
}

async function measureTask(task: Task, threads: number, contenders: readonly Contender[]): Promise<void> {
  const rounds = await run(contenders, task, async (client, round) => {
    const answers: Answer[] = []
    for (let index = 0; index < promptsPerRound; index += 1)
      answers.push(await ask(client, taskPrompt(task, seedOf(task, round, index))))
    return decodeSpeed(answers)
  })
  tell(resultOf(rounds, sideNames, { task, threads, commit }), rounds)
}

/** Ours alone: nobody may lose by speculation where the batch is full. */
async function measureMany(threads: number, contenders: readonly Contender[]): Promise<void> {
  const task = `${streamsMany} streams of chat`
  const rounds = await run(contenders, task, async (client, round) => {
    const startedAt = performance.now()
    const prompts = Array.from({ length: streamsMany }, (_, i) => taskPrompt('chat', 900_000 + round * 100 + i))
    const answers = await Promise.all(prompts.map((prompt) => ask(client, prompt)))
    const tokens = sum(answers.map((answer) => contentOf(answer).completionTokens))
    return { tokens, ms: performance.now() - startedAt }
  })
  tell(resultOf(rounds, { ...sideNames, peers: [] }, { task, threads, commit }), rounds)
}

/** To its natural end: what is forced beyond it repeats itself, which is what prompt lookup is best at. */
async function ask(client: HttpClient, prompt: string): Promise<Answer> {
  const answer = await client.post(chatPath, { ...chatBody({ prompt, tokens: tokensMax }), ignore_eos: false })
  if (!isComplete(answer))
    throw new Error(`status ${answer.status}: ${answer.error?.message ?? answer.body.slice(0, 200)}`)
  return answer
}

function decodeSpeed(answers: readonly Answer[]): Speed {
  let tokens = 0
  let ms = 0
  for (const answer of answers) {
    const { firstAt, contentAt } = answer
    tokens += Math.max(0, contentOf(answer).completionTokens - 1)
    ms += (contentAt.at(-1) ?? 0) - (firstAt ?? 0)
  }
  return { tokens, ms }
}

/** One round that does not count, then the others. A failure is a round without a figure. */
async function run(
  contenders: readonly Contender[],
  title: string,
  speed: (client: HttpClient, round: number) => Promise<Speed>,
): Promise<Map<string, Round<Speed>[]>> {
  const sides = contenders.map(({ target, pids }) => ({
    name: target.name,
    run: async (round: number) => {
      const client = new HttpClient(target, streamsMany)
      try {
        return await watch(pids, async (): Promise<Speed> => {
          try {
            return await speed(client, round)
          } catch (error) {
            print(`  ${title}: ${target.name}: ${String(error)}`)
            return { tokens: Number.NaN, ms: Number.NaN }
          }
        })
      } finally {
        await client.close()
      }
    },
  }))
  for (const side of sides) await side.run(warmUpRound)
  return interleave(sides, options.rounds)
}

function tell(result: TaskResult, rounds: Rounds): void {
  results = joinParts(results, [result], keyOf)
  report.add('tasks', results)
  report.save({ quick: options.quick })
  const off = rounds.get(ours.off) ?? []
  report.table(
    `${result.task}, ${result.threads} compute thread${result.threads === 1 ? '' : 's'}, all rounds`,
    ['side', 'tok/s by round', 'against ours, off, median'],
    [...rounds].map(([side, own]) => [
      side,
      spreadText(summarise(own, (round) => speedOf(round))),
      figure(ratio(own, off, (round) => speedOf(round)).median),
    ]),
  )
}
