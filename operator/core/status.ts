/**
 * The status writer: snapshot and plan in, `ModelDeploymentStatus` out. Pure, and the only place that decides conditions.
 *
 * `Ready` says whether requests are answered at all; `WorkersReady` whether by as many workers as were asked for; `Degraded`
 * whether a person should look, and its message says at what.
 */
import { limits } from '#contracts/limits.ts'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { conditionsOf, type Finding, finding } from './conditions.ts'
import { type Desired, type Observed, replicasWanted } from './observed.ts'
import { crashesOf, type JudgedWorker, judge, type Plan } from './plan.ts'

interface Facts {
  readonly observed: Observed
  readonly desired: Desired
  readonly plan: Plan
  readonly workers: readonly JudgedWorker[]
  readonly ready: readonly JudgedWorker[]
  readonly readyNew: readonly JudgedWorker[]
}

/** Null once the deployment is gone: there is nothing left to write a status on. */
export function statusOf(
  observed: Observed,
  plan: Plan,
  at: { readonly now: number; readonly nowIso: string },
): ModelDeploymentStatus | null {
  const workers = judge(observed, at.now)
  if (observed.desired === null) return deletingStatus(observed, workers, at)
  const { desired } = observed
  const ready = workers.filter((worker) => worker.state === 'ready')
  const readyNew = ready.filter((worker) => worker.revision === desired.revision)
  const facts: Facts = { observed, desired, plan, workers, ready, readyNew }
  return {
    conditions: conditionsOf(findingsOf(facts), observed.status?.conditions ?? [], {
      nowIso: at.nowIso,
      generation: desired.generation,
    }),
    replicas: workers.length,
    readyReplicas: ready.length,
    selector: `paceline.dev/deployment=${observed.name}`,
    observedGeneration: desired.generation,
    currentRevision: currentRevision(facts),
    desiredRevision: desired.revision,
    url: observed.url,
    measured: measure(observed, ready),
  }
}

function deletingStatus(
  observed: Observed,
  workers: readonly JudgedWorker[],
  at: { readonly nowIso: string },
): ModelDeploymentStatus | null {
  const { status } = observed
  if (status === null || workers.length === 0) return null
  const message = `deleted; ${count(workers.length, 'worker')} still draining`
  const findings = [
    finding('Ready', false, 'Deleting', message),
    finding('Progressing', true, 'Deleting', message),
    finding('Stopped', false, 'Deleting', message),
  ]
  const generation = status.observedGeneration
  const conditions = conditionsOf(findings, status.conditions, { nowIso: at.nowIso, generation })
  return { ...status, conditions, replicas: workers.length, readyReplicas: 0 }
}

/** The revision that is fully rolled out: the new one only once it is, the one before until then. */
function currentRevision({ observed, desired, workers, readyNew }: Facts): string {
  const complete =
    readyNew.length >= replicasWanted(desired.spec) && workers.every((w) => w.revision === desired.revision)
  return complete ? desired.revision : (observed.status?.currentRevision ?? '')
}

function measure(observed: Observed, ready: readonly JudgedWorker[]): ModelDeploymentStatus['measured'] {
  const reports = ready.flatMap((worker) => (worker.report === null ? [] : [worker.report]))
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
  if (reports.length === 0) return {}
  return {
    tokensPerSecond: sum(reports.map((report) => report.tokensPerSecond)),
    meanAcceptanceLength: sum(reports.map((report) => report.acceptanceLength)) / reports.length,
    ...(observed.sloGoodput === null ? {} : { sloGoodput: observed.sloGoodput }),
  }
}

function findingsOf(facts: Facts): Finding[] {
  return [
    readyFinding(facts),
    progressFinding(facts),
    degradedFinding(facts),
    modelFinding(facts),
    targetFinding(facts),
    workersFinding(facts),
    compressionFinding(facts),
    stoppedFinding(facts),
  ]
}

function readyFinding({ desired, ready, observed }: Facts): Finding {
  if (replicasWanted(desired.spec) === 0) return finding('Ready', false, 'Stopped', 'replicas is 0')
  if (ready.length > 0) return finding('Ready', true, 'Serving', `${count(ready.length, 'worker')} ready`)
  if (observed.model.kind === 'failed') return finding('Ready', false, 'ModelUnavailable', observed.model.message)
  if (observed.model.kind === 'fetching') return finding('Ready', false, 'FetchingModel', progressOf(observed))
  return finding('Ready', false, 'NoWorkerReady', 'no worker is ready yet')
}

function progressFinding({ observed, desired, plan, readyNew }: Facts): Finding {
  const wanted = `${readyNew.length} of ${replicasWanted(desired.spec)} workers of revision ${desired.revision} ready`
  const { next } = plan
  switch (next.kind) {
    case 'done':
      return finding('Progressing', false, 'Complete', wanted)
    case 'stalled':
      return finding('Progressing', false, 'Stalled', next.reason)
    case 'wait':
      switch (next.until) {
        case 'model':
          return finding('Progressing', true, 'FetchingModel', progressOf(observed))
        case 'worker-ready':
          return finding('Progressing', true, 'StartingWorkers', wanted)
        case 'drained':
          return finding('Progressing', true, 'DrainingWorkers', `${wanted}; others are draining`)
        case 'back-off':
          return finding('Progressing', true, 'WaitingToRestart', wanted)
        default:
          return next.until satisfies never
      }
    default:
      return next satisfies never
  }
}

/** The gravest first: what stops service, then what threatens it, then what was not taken. */
function degradedFinding(facts: Facts): Finding {
  const { observed, desired, readyNew } = facts
  const crashes = crashesOf(observed, desired)
  if (observed.model.kind === 'failed') return finding('Degraded', true, 'ModelUnavailable', observed.model.message)
  if (crashes !== null && readyNew.length < replicasWanted(desired.spec))
    return finding(
      'Degraded',
      true,
      crashes.inARow < limits.operator.crashLoopAfter ? 'WorkerCrashed' : 'CrashLoop',
      crashMessage(facts),
    )
  const silent = facts.workers.filter((worker) => worker.state === 'unresponsive')
  if (silent.length > 0) {
    const names = silent.map((worker) => worker.worker).join(', ')
    return finding('Degraded', true, 'WorkerUnresponsive', `silent, being replaced: ${names}`)
  }
  if (desired.conflicts.length > 0) return finding('Degraded', true, 'NameConflict', conflictMessage(desired))
  if (observed.resourceProblems.length > 0) {
    const message = `the last good state is kept; to fix: ${observed.resourceProblems.join('; ')}`
    return finding('Degraded', true, 'ResourcesInvalid', message)
  }
  return finding('Degraded', false, 'AsExpected', 'nothing needs attention')
}

function crashMessage({ observed, desired, ready }: Facts): string {
  const crashes = crashesOf(observed, desired)
  const row =
    crashes === null ? '' : `${count(crashes.inARow, 'crash', 'crashes')} in a row; the last: ${crashes.message}`
  const old = ready.some((worker) => worker.revision !== desired.revision)
  return old ? `${row} (the revision before still serves)` : row
}

function conflictMessage(desired: Desired): string {
  const lines = desired.conflicts.map(({ name, owner }) => `"${name}" belongs to deployment "${owner}"`)
  return `${lines.join(', ')}; remove it from servedNames here or there`
}

function modelFinding({ observed, desired }: Facts): Finding {
  const { model } = observed
  switch (model.kind) {
    case 'not-needed':
      return finding('ModelCacheReady', true, 'NotNeeded', 'the simulated engine loads no model')
    case 'absent':
      return replicasWanted(desired.spec) === 0
        ? finding('ModelCacheReady', false, 'Stopped', 'not fetched: replicas is 0')
        : finding('ModelCacheReady', false, 'NotFetched', 'the model is about to be fetched')
    case 'fetching':
      return finding('ModelCacheReady', false, 'Fetching', progressOf(observed))
    case 'ready':
      return finding('ModelCacheReady', true, 'Verified', `SHA-256 verified: ${model.path}`)
    case 'failed':
      return finding('ModelCacheReady', false, 'FetchFailed', model.message)
    default:
      return model satisfies never
  }
}

function targetFinding({ desired, readyNew }: Facts): Finding {
  const what = desired.spec.engine.kind === 'simulated' ? 'simulated engine' : 'target model'
  if (readyNew.length > 0)
    return finding('TargetReady', true, 'Loaded', `${what} loaded by ${count(readyNew.length, 'worker')}`)
  return finding(
    'TargetReady',
    false,
    'NotLoaded',
    `no worker of revision ${desired.revision} has loaded its ${what} yet`,
  )
}

function workersFinding({ desired, readyNew }: Facts): Finding {
  const message = `${readyNew.length} of ${replicasWanted(desired.spec)} ready`
  const enough = readyNew.length >= replicasWanted(desired.spec)
  return finding('WorkersReady', enough, enough ? 'AllReady' : 'NotAllReady', message)
}

function compressionFinding({ desired, readyNew }: Facts): Finding {
  const asked = desired.spec.compression.kvCache.type
  const types = [...new Set(readyNew.flatMap((worker) => worker.registration?.engine.kvCacheType ?? []))]
  if (types.length === 0)
    return finding('CompressionApplied', 'unknown', 'NoWorkerReady', 'known once a worker is ready')
  const message = `KV cache: ${types.join(', ')} (asked: ${asked})`
  if (asked === 'auto' || types.every((type) => type === asked))
    return finding('CompressionApplied', true, 'Applied', message)
  return finding('CompressionApplied', false, 'Differs', message)
}

function stoppedFinding({ desired, workers }: Facts): Finding {
  if (replicasWanted(desired.spec) > 0)
    return finding('Stopped', false, 'Running', `replicas is ${replicasWanted(desired.spec)}`)
  if (workers.length > 0) return finding('Stopped', false, 'Stopping', `${count(workers.length, 'worker')} draining`)
  return finding('Stopped', true, 'ScaledToZero', 'replicas is 0')
}

function progressOf({ model }: Observed): string {
  if (model.kind !== 'fetching') return 'the model is about to be fetched'
  const total = model.bytesTotal === null ? '' : ` of ${mib(model.bytesTotal)}`
  return `${model.activity}: ${mib(model.bytes)}${total} MiB, ${mib(model.bytesPerSecond)} MiB/s`
}

const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
const count = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`
