/**
 * What routers are told of a deployment (`ModelRecord`): while a rollout runs, of the revision that serves, not of the one
 * that is to come.
 */
import { limits } from '#contracts/limits.ts'
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import { type Desired, type Observed, type ObservedWorker, scalesFromZero, stateOf } from './observed.ts'
import type { RevisionEntry } from './revision.ts'

/** `target`: the revision that new workers are started as. */
export function recordOf(observed: Observed, desired: Desired, now: number, target: Target = desired): ModelRecord {
  const { spec } = desired
  const serving = servingOf(observed, target, now)
  return {
    deployment: observed.name,
    servedNames: [...desired.servedNames],
    created: observed.published?.created ?? desired.created,
    ...serving,
    slo: { ...spec.slo },
    speculation: liveSpeculation(spec),
    sampling: { ...spec.sampling },
    queue: { ...spec.queue },
    scaling: { fromZero: scalesFromZero(spec), holdMsMax: limits.queue.holdMsMax },
  }
}

/** Whatever running workers follow. Their files are part of the revision. */
function liveSpeculation({ speculation }: Desired['spec']): ModelRecord['speculation'] {
  const { method, draftTokensMax, controller } = speculation
  return { method, draftTokensMax, controller }
}

type Target = Pick<RevisionEntry, 'revision' | 'spec'>
type Serving = Pick<ModelRecord, 'revision' | 'contextTokensMax' | 'capabilities' | 'simulated' | 'reproducible'>

function servingOf(observed: Observed, target: Target, now: number): Serving {
  const ready = observed.workers.filter((worker) => stateOf(worker, observed.busConnectedSince, now) === 'ready')
  const registration = bestRegistration(ready, target)
  if (registration !== null) return fromRegistration(registration)
  // A ready worker whose registration has not been read (again): what was published of it holds.
  if (ready.length > 0 && observed.published !== null) return fromRecord(observed.published)
  // Asleep, or between two workers of the same revision: what is known of it does not change by that.
  if (observed.published?.revision === target.revision) return fromRecord(observed.published)
  const { engine } = target.spec
  return {
    revision: target.revision,
    contextTokensMax: engine.contextTokensMax,
    // A worker says what it can do once it has loaded its model; until then this is the best guess.
    capabilities: { chat: true, completions: true, embeddings: engine.embeddings, grammar: true },
    simulated: engine.kind === 'simulated',
    reproducible: engine.reproducible ? 'proving' : 'no',
  }
}

/** Of the new revision once one of its workers is ready, else of the old. */
function bestRegistration(ready: readonly ObservedWorker[], target: Target): WorkerRecord | null {
  const isNew = (worker: ObservedWorker) => worker.revision === target.revision
  const ordered = [...ready.filter(isNew), ...ready.filter((worker) => !isNew(worker))]
  return ordered.find((worker) => worker.registration !== null)?.registration ?? null
}

function fromRegistration({ revision, contextTokensMax, capabilities, engine }: WorkerRecord): Serving {
  const { simulated, reproducible } = engine
  return { revision, contextTokensMax, capabilities, simulated, reproducible }
}

function fromRecord({ revision, contextTokensMax, capabilities, simulated, reproducible }: ModelRecord): Serving {
  return { revision, contextTokensMax, capabilities, simulated, reproducible }
}
