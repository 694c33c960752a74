/**
 * The status writer: snapshot and plan in, `ModelDeploymentStatus` out. Pure; what each condition says is in `findings.ts`.
 */
import type { ModelDeploymentStatus, RevisionStatus } from '#contracts/resources/modelDeployment.ts'
import { conditionsOf, finding } from './conditions.ts'
import { count, type Facts } from './facts.ts'
import { findingsOf } from './findings.ts'
import type { Observed } from './observed.ts'
import type { Plan } from './plan.ts'
import type { RevisionHistory } from './revision.ts'
import { isReady, type JudgedWorker, judge } from './workers.ts'

/** Null once the deployment is gone: there is nothing left to write a status on. */
export function statusOf(
  observed: Observed,
  plan: Plan,
  at: { readonly now: number; readonly nowIso: string },
): ModelDeploymentStatus | null {
  const workers = judge(observed, at.now)
  const { desired } = observed
  const { course } = plan
  if (desired === null || course === null) return deletingStatus(observed, workers, at)
  const ready = workers.filter(isReady)
  const readyNew = ready.filter((worker) => worker.revision === course.target.revision)
  const facts: Facts = { observed, desired, course, next: plan.next, workers, ready, readyNew }
  return {
    conditions: conditionsOf(findingsOf(facts), observed.status?.conditions ?? [], {
      nowIso: at.nowIso,
      generation: desired.generation,
    }),
    replicas: workers.length,
    readyReplicas: ready.length,
    desiredReplicas: observed.replicas,
    selector: `paceline.dev/deployment=${observed.name}`,
    observedGeneration: desired.generation,
    currentRevision: currentRevision(facts),
    desiredRevision: desired.revision,
    revisions: revisionsOf(course.history),
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
function currentRevision({ observed, course, workers, readyNew }: Facts): string {
  const { revision } = course.target
  const complete = readyNew.length >= observed.replicas && workers.every((worker) => worker.revision === revision)
  return complete ? revision : (observed.status?.currentRevision ?? '')
}

function revisionsOf(history: RevisionHistory): RevisionStatus[] {
  return history.map(({ revision, createdAt, state, message }) => ({ revision, createdAt, state, message }))
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
