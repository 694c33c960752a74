/**
 * From "processes started" to "a request has been answered by every pair", and afterwards the news of a running instance.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { DeploymentReport, OperatorStatus } from '#contracts/operatorStatus.ts'
import { delay } from '#runtime/clock.ts'
import type { Context } from '../context.ts'
import type { Terminal } from '../terminal.ts'
import { askOperator, probe } from './ask.ts'
import type { LocalPlatform } from './platform.ts'
import { readiness, stagesOf } from './readiness.ts'

export interface Served {
  readonly name: string
  readonly endpoint: 'chat' | 'embeddings'
  readonly needsKey: boolean
}

/** Throws a Failure once waiting cannot help, rejects when interrupted. */
export async function waitReady(
  platform: LocalPlatform,
  news: News,
  key: string | null,
  context: Context,
): Promise<Served[]> {
  const deployments = await operatorReady(platform, news, context)
  return Promise.all(deployments.map((deployment) => answers(platform, deployment, key, context)))
}

/** Prints what changes until interrupted; rejects when a part is lost for good. */
export async function watchInstance(platform: LocalPlatform, news: News, context: Context): Promise<void> {
  const { clock, interrupts } = context
  let cutAt = clock.now()
  while (!interrupts.first.aborted) {
    platform.throwIfLost()
    const status = await askOperator(platform.record.operatorUrl)
    if (status !== null) {
      platform.noteWorkers(workerPids(status))
      news.tell(status)
    }
    if (clock.now() - cutAt > limits.local.logCheckMs) {
      platform.cutLogs()
      cutAt = clock.now()
    }
    await delay(clock, limits.local.statusIntervalMsLater, interrupts.first).catch(() => undefined)
  }
}

async function operatorReady(
  platform: LocalPlatform,
  news: News,
  context: Context,
): Promise<readonly DeploymentReport[]> {
  const { clock, interrupts, terminal } = context
  const deadline = clock.now() + limits.local.readyWaitMsMax
  let activity = 'starting'
  while (clock.now() < deadline) {
    platform.throwIfLost()
    const status = await askOperator(platform.record.operatorUrl)
    if (status !== null) {
      platform.noteWorkers(workerPids(status))
      news.tell(status)
      const state = readiness(status)
      if (state.kind === 'ready') return state.deployments
      if (state.kind === 'hopeless') throw new Failure('aborted', state.reason)
      activity = state.activity
      terminal.progress(activity)
    }
    await delay(clock, limits.local.statusIntervalMs, interrupts.first)
  }
  const minutes = limits.local.readyWaitMsMax / 60_000
  throw new Failure('aborted', `not ready after ${minutes} minutes; last seen: ${activity}`)
}

async function answers(
  platform: LocalPlatform,
  deployment: DeploymentReport,
  key: string | null,
  context: Context,
): Promise<Served> {
  const { clock, interrupts } = context
  const deadline = clock.now() + limits.local.probeWaitMsMax
  let reason = 'not asked yet'
  while (clock.now() < deadline) {
    platform.throwIfLost()
    const result = await probe({ url: platform.record.url, model: deployment.name, key, signal: interrupts.first })
    if (result.kind === 'answered') return { name: deployment.name, endpoint: result.endpoint, needsKey: key !== null }
    reason = result.reason
    await delay(clock, limits.local.statusIntervalMs, interrupts.first)
  }
  const seconds = limits.local.probeWaitMsMax / 1000
  throw new Failure(
    'aborted',
    `${deployment.name} is ready, but a request was not answered within ${seconds} s: ${reason}`,
  )
}

const workerPids = (status: OperatorStatus) =>
  status.deployments
    .flatMap((deployment) => deployment.workers.map((worker) => worker.pid))
    .filter((pid) => pid !== null)

/** Says each stage of each deployment once, and each problem of the resources once. */
export class News {
  readonly #terminal: Terminal
  #stages: ReadonlyMap<string, string> | null = null
  #problem: string | undefined

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  tell(status: OperatorStatus): void {
    const stages = stagesOf(status)
    for (const [name, stage] of stages) {
      if (this.#stages?.get(name) !== stage) this.#terminal.line(`${name}: ${stage}`)
    }
    this.#stages = stages
    const problem = status.resources.problems[0]
    if (problem !== undefined && problem !== this.#problem) this.#terminal.line(`resources not taken: ${problem}`)
    this.#problem = problem
  }
}
