/**
 * What routers are told of a deployment (`ModelRecord`): while a rollout runs, of the revision that serves, not of the one
 * that is to come.
 */
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import { type Desired, type Observed, type ObservedWorker, stateOf } from './observed.ts'

export function recordOf(observed: Observed, desired: Desired, now: number): ModelRecord {
  const serving = servingRegistration(observed, desired, now)
  const { spec } = desired
  const before = serving === null ? observed.published : null
  return {
    deployment: observed.name,
    servedNames: [...desired.servedNames],
    revision: serving?.revision ?? desired.revision,
    created: observed.published?.created ?? desired.created,
    contextTokensMax: serving?.contextTokensMax ?? spec.engine.contextTokensMax,
    // A worker says what it can do once it has loaded its model; until then what the last one said is the best guess.
    capabilities: serving?.capabilities ??
      before?.capabilities ?? { chat: true, completions: true, embeddings: spec.engine.embeddings, grammar: true },
    simulated: serving?.engine.simulated ?? spec.engine.kind === 'simulated',
    reproducible: serving?.engine.reproducible ?? (spec.engine.reproducible ? 'proving' : 'no'),
    slo: { ...spec.slo },
    queue: { ...spec.queue },
  }
}

/** Of a ready worker: of the new revision once it has one, else of the old. */
function servingRegistration(observed: Observed, desired: Desired, now: number): WorkerRecord | null {
  const ready = observed.workers.filter((worker) => stateOf(worker, observed.busConnectedSince, now) === 'ready')
  const isNew = (worker: ObservedWorker) => worker.revision === desired.revision
  const ordered = [...ready.filter(isNew), ...ready.filter((worker) => !isNew(worker))]
  return ordered.find((worker) => worker.registration !== null)?.registration ?? null
}
