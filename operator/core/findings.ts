/**
 * What each condition of a deployment says. Pure, and the only place that decides it.
 *
 * `Ready` says whether requests are answered at all; `WorkersReady` whether by as many workers as are wanted; `Degraded` whether a
 * person should look, and its message says at what. Messages hold no figure that moves by itself: a status is written when it
 * changes.
 */
import { limits } from '#contracts/limits.ts'
import { artifactFindings } from './artifactFindings.ts'
import { crashesOf } from './backOff.ts'
import { type Finding, finding } from './conditions.ts'
import { count, type Facts, progressOf } from './facts.ts'
import { cacheStateOf, type Desired, scalesFromZero } from './observed.ts'
import type { NextStep } from './plan.ts'
import type { Course } from './rollout.ts'

export function findingsOf(facts: Facts): Finding[] {
  return [
    readyFinding(facts),
    progressFinding(facts),
    degradedFinding(facts),
    ...artifactFindings(facts),
    workersFinding(facts),
    scalingFinding(facts),
    stoppedFinding(facts),
  ]
}

/** No worker runs because nobody asks; the next request is held and wakes one. */
const isAsleep = ({ observed, desired }: Facts) => observed.replicas === 0 && scalesFromZero(desired.spec)

function readyFinding(facts: Facts): Finding {
  const { ready, observed, course } = facts
  if (isAsleep(facts)) return finding('Ready', true, 'ScaledToZero', 'no worker runs; the next request starts one')
  if (observed.replicas === 0) return finding('Ready', false, 'Stopped', 'replicas is 0')
  if (ready.length > 0) return finding('Ready', true, 'Serving', `${count(ready.length, 'worker')} ready`)
  const model = cacheStateOf(observed, course.target.spec)
  if (model.kind === 'failed') return finding('Ready', false, 'ModelUnavailable', model.message)
  if (model.kind === 'fetching') return finding('Ready', false, 'FetchingModel', progressOf(model))
  return finding('Ready', false, 'NoWorkerReady', ['no worker is ready yet', ...waitsOf(facts)].join('; '))
}

/** Why workers do not even run, as far as their platform knows: no node has room, an image cannot be had. */
function waitsOf({ workers }: Facts): string[] {
  return [...new Set(workers.flatMap(({ waitsFor }) => waitsFor ?? []))].slice(0, 3)
}

function progressFinding(facts: Facts): Finding {
  const { observed, course, readyNew, next } = facts
  const wanted = `${readyNew.length} of ${observed.replicas} workers of revision ${course.target.revision} ready`
  switch (next.kind) {
    case 'done':
      return course.failed === null
        ? finding('Progressing', false, 'Complete', wanted)
        : finding('Progressing', false, 'RolledBack', `${wanted}; revision ${course.failed.revision} was given up`)
    case 'stalled':
      return finding('Progressing', false, 'Stalled', next.reason)
    case 'wait':
      return waitFinding(facts, next.until, course.failed === null ? wanted : `rolling back: ${wanted}`)
    default:
      return next satisfies never
  }
}

function waitFinding(
  { observed, course, desired }: Facts,
  until: Extract<NextStep, { kind: 'wait' }>['until'],
  wanted: string,
): Finding {
  switch (until) {
    case 'model':
      return finding('Progressing', true, 'FetchingModel', progressOf(cacheStateOf(observed, course.target.spec)))
    case 'worker-ready':
      return finding('Progressing', true, 'StartingWorkers', wanted)
    case 'drained':
      return finding('Progressing', true, 'DrainingWorkers', `${wanted}; others are draining`)
    case 'back-off':
      return finding('Progressing', true, 'WaitingToRestart', wanted)
    case 'watched': {
      const seconds = desired.spec.rollout.guard.observeSeconds
      return finding(
        'Progressing',
        false,
        'Complete',
        `${wanted}; it is watched for ${seconds} s before it counts as good`,
      )
    }
    default:
      return until satisfies never
  }
}

/** The gravest first: what stops service, then what threatens it, then what was not taken. */
function degradedFinding(facts: Facts): Finding {
  const degraded = (reason: string, message: string) => finding('Degraded', true, reason, message)
  const { observed, desired, course, readyNew } = facts
  const model = cacheStateOf(observed, course.target.spec)
  if (model.kind === 'failed') return degraded('ModelUnavailable', model.message)
  const crashes = crashesOf(observed.crashes, course.target.revision)
  if (crashes !== null && readyNew.length < observed.replicas)
    return degraded(
      crashes.inARow < limits.operator.crashLoopAfter ? 'WorkerCrashed' : 'CrashLoop',
      crashMessage(facts),
    )
  const silent = facts.workers.filter((worker) => worker.state === 'unresponsive')
  if (silent.length > 0) {
    const names = silent.map((worker) => worker.worker).join(', ')
    return degraded('WorkerUnresponsive', `silent, being replaced: ${names}`)
  }
  if (course.failed !== null) return degraded('RolledBack', rollbackMessage(course))
  if (desired.conflicts.length > 0) return degraded('NameConflict', conflictMessage(desired))
  if (observed.resourceProblems.length > 0) {
    const message = `the last good state is kept; to fix: ${observed.resourceProblems.join('; ')}`
    return degraded('ResourcesInvalid', message)
  }
  return finding('Degraded', false, 'AsExpected', 'nothing needs attention')
}

function rollbackMessage({ failed, target }: Course): string {
  return `revision ${failed?.revision} was given up (${failed?.message}); revision ${target.revision} serves; change the spec to try again`
}

function crashMessage({ observed, course, ready }: Facts): string {
  const crashes = crashesOf(observed.crashes, course.target.revision)
  const row =
    crashes === null ? '' : `${count(crashes.inARow, 'crash', 'crashes')} in a row; the last: ${crashes.message}`
  const old = ready.some((worker) => worker.revision !== course.target.revision)
  return old ? `${row} (the revision before still serves)` : row
}

function conflictMessage(desired: Desired): string {
  const lines = desired.conflicts.map(({ name, owner }) => `"${name}" belongs to ${owner.kind} "${owner.name}"`)
  return `${lines.join(', ')}; remove it from servedNames here or there`
}

function workersFinding({ observed, readyNew }: Facts): Finding {
  const message = `${readyNew.length} of ${observed.replicas} ready`
  const enough = readyNew.length >= observed.replicas
  return finding('WorkersReady', enough, enough ? 'AllReady' : 'NotAllReady', message)
}

function scalingFinding({ observed }: Facts): Finding {
  const { scaling } = observed
  if (scaling === null) return finding('ScalingReady', true, 'Fixed', `replicas is ${observed.replicas}`)
  return finding('ScalingReady', !scaling.holds, scaling.reason, scaling.message)
}

function stoppedFinding(facts: Facts): Finding {
  const { observed, workers } = facts
  if (observed.replicas > 0) return finding('Stopped', false, 'Running', `replicas is ${observed.replicas}`)
  if (workers.length > 0) return finding('Stopped', false, 'Stopping', `${count(workers.length, 'worker')} draining`)
  return isAsleep(facts)
    ? finding('Stopped', true, 'Asleep', 'nobody asks; the next request starts a worker')
    : finding('Stopped', true, 'ScaledToZero', 'replicas is 0')
}
