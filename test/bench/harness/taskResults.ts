/**
 * What the comparison on real text comes to, per kind of task: the peer's best setting by the even rounds, everything judged on the odd
 * ones and within each round, because the prompts of another round are others.
 */
import * as z from 'zod'
import { figure, type Report } from './report.ts'
import { noiseMax, quietRounds, ratio, type Round } from './rounds.ts'
import { median } from './statistics.ts'

/** Tokens per second of one side in one round. */
export interface Speed {
  readonly tokensPerSecond: number
}
export type Rounds = ReadonlyMap<string, readonly Round<Speed>[]>

const Side = z.object({ speeds: z.array(z.number().nullable()), others: z.array(z.number()) })

export const TaskResult = z.object({
  /** A kind of task, or that many streams of one. */
  task: z.string(),
  threads: z.number(),
  /** Tokens per second, medians of the odd rounds; null: no such side. */
  off: z.number(),
  auto: z.number(),
  peerPlain: z.number().nullable(),
  peerBest: z.number().nullable(),
  /** The peer's setting that was best in the even rounds. */
  best: z.string().nullable(),
  autoOverOff: z.number(),
  autoOverBest: z.number().nullable(),
  plainOverPlain: z.number().nullable(),
  /** Rounds of one side that others on the machine disturbed. */
  disturbed: z.number(),
  commit: z.string(),
  /** Round by round. */
  sides: z.record(z.string(), Side),
})
export type TaskResult = z.infer<typeof TaskResult>

export interface SideNames {
  readonly off: string
  readonly auto: string
  /** Of the peer without drafts, and all of its settings; empty: there is no peer. */
  readonly plain: string
  readonly peers: readonly string[]
}

const speedOf = ({ value }: Round<Speed>) => value.tokensPerSecond
const even = (rounds: readonly Round<Speed>[] = []) => rounds.filter(({ number }) => number % 2 === 0)
const odd = (rounds: readonly Round<Speed>[] = []) => rounds.filter(({ number }) => number % 2 === 1)

export function resultOf(
  rounds: Rounds,
  names: SideNames,
  of: Pick<TaskResult, 'task' | 'threads' | 'commit'>,
): TaskResult {
  const peers = names.peers.filter((name) => rounds.has(name))
  const over = (a: string, b: string, part: typeof odd) =>
    ratio(part(rounds.get(a)), part(rounds.get(b)), speedOf).median
  const best = peers.length === 0 ? null : peers.reduce((a, b) => (over(b, a, even) > 1 ? b : a))
  const speed = (name: string) =>
    median(
      quietRounds(odd(rounds.get(name)))
        .map(speedOf)
        .filter(Number.isFinite),
    )
  const all = [...rounds.values()].flat()
  return {
    ...of,
    off: speed(names.off),
    auto: speed(names.auto),
    peerPlain: best === null ? null : speed(names.plain),
    peerBest: best === null ? null : speed(best),
    best,
    autoOverOff: over(names.auto, names.off, odd),
    autoOverBest: best === null ? null : over(names.auto, best, odd),
    plainOverPlain: best === null ? null : over(names.off, names.plain, odd),
    disturbed: all.filter(({ others }) => others > noiseMax).length,
    sides: Object.fromEntries([...rounds].map(([name, own]) => [name, sideOf(own)])),
  }
}

function sideOf(rounds: readonly Round<Speed>[]): z.infer<typeof Side> {
  const rounded = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(4)) : null)
  return {
    speeds: rounds.map((round) => rounded(speedOf(round))),
    others: rounds.map(({ others }) => rounded(others) ?? 0),
  }
}

/** Talk repeats nothing, so there drafts must only not cost; elsewhere they must pay. */
export function requireTask(report: Report, result: TaskResult): void {
  const { task, threads, autoOverOff, autoOverBest, plainOverPlain, best } = result
  const where = `${task}, ${threads} thread${threads === 1 ? '' : 's'}`
  const isTalk = task === 'chat'
  const isMany = autoOverBest === null || best === null
  const atLeast = (what: string, measured: number, goal: number) =>
    report.require({ what, measured, bound: { atLeast: Number(goal.toPrecision(3)) }, unit: 'x' })
  if (!isMany) atLeast(`${where}: auto against ${best}`, autoOverBest, isTalk ? (plainOverPlain ?? 1) : 1)
  atLeast(`${where}: auto against off`, autoOverOff, task.includes('streams') ? 0.97 : isTalk ? 0.98 : 1)
}

export function tellTasks(report: Report, results: readonly TaskResult[]): void {
  const text = (value: number | null) => (value === null ? '' : figure(value))
  report.table(
    'tokens per second, odd rounds',
    [
      'task',
      'threads',
      'off',
      'auto',
      'peer, none',
      'peer, best',
      'which',
      'auto / off',
      'auto / best',
      'off / none',
      'disturbed',
    ],
    results.map((one) => [
      one.task,
      String(one.threads),
      ...[one.off, one.auto, one.peerPlain, one.peerBest].map(text),
      one.best ?? '',
      ...[one.autoOverOff, one.autoOverBest, one.plainOverPlain].map(text),
      String(one.disturbed),
    ]),
  )
}
