/**
 * What the comparison on real text comes to, per kind of task: the peer's best setting by the even rounds, everything judged on the odd
 * ones, on the same prompts for both sides.
 *
 * A speed is all tokens over all of their time. A median over rounds would be one over prompts, and hide what drafts gain: much on a few
 * prompts that repeat something, nothing on the others.
 */
import * as z from 'zod'
import { figure, type Report } from './report.ts'
import { comparablePairs, noiseMax, quietRounds, type Round } from './rounds.ts'
import { sum } from './statistics.ts'

/** What one side wrote in one round, and how long it took; not a number where it failed. */
export interface Speed {
  readonly tokens: number
  readonly ms: number
}
export type Rounds = ReadonlyMap<string, readonly Round<Speed>[]>

const Side = z.object({ speeds: z.array(z.number().nullable()), others: z.array(z.number()) })

export const TaskResult = z.object({
  /** A kind of task, or that many streams of one. */
  task: z.string(),
  threads: z.number(),
  /** Tokens per second of the odd rounds together; null: no such side. */
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

/** Tokens per second of one round, or of several together. */
export const speedOf = (...rounds: readonly Round<Speed>[]): number =>
  (1_000 * sum(rounds.map(({ value }) => value.tokens))) / sum(rounds.map(({ value }) => value.ms))
const isMeasured = ({ value }: Round<Speed>) => Number.isFinite(value.tokens / value.ms)
const even = (rounds: readonly Round<Speed>[] = []) => rounds.filter(({ number }) => number % 2 === 0)
const odd = (rounds: readonly Round<Speed>[] = []) => rounds.filter(({ number }) => number % 2 === 1)

export function resultOf(
  rounds: Rounds,
  names: SideNames,
  of: Pick<TaskResult, 'task' | 'threads' | 'commit'>,
): TaskResult {
  const peers = names.peers.filter((name) => rounds.has(name))
  const measured = (name: string, part: typeof odd) => part(rounds.get(name)).filter(isMeasured)
  const over = (a: string, b: string, part: typeof odd) => {
    const pairs = comparablePairs(measured(a, part), measured(b, part))
    return speedOf(...pairs.map(([left]) => left)) / speedOf(...pairs.map(([, right]) => right))
  }
  const best = peers.length === 0 ? null : peers.reduce((a, b) => (over(b, a, even) > 1 ? b : a))
  const speed = (name: string) => speedOf(...quietRounds(measured(name, odd)))
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
