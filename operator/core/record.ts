/**
 * What routers are told of a deployment (`ModelRecord`): while a rollout runs, of the revision that serves, not of the one
 * that is to come.
 */
import type { Revision } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelRecord, WorkerRecord } from '#contracts/records.ts'
import { type Desired, gateFileOf, type Observed, type ObservedWorker, scalesFromZero, stateOf } from './observed.ts'
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
    ...digestOf(serving.revision, target, observed.published),
    slo: { ...spec.slo },
    speculation: liveSpeculation(spec),
    ...expertsOf(observed, target, now, spec),
    sampling: { ...spec.sampling },
    queue: { ...spec.queue },
    scaling: { fromZero: scalesFromZero(spec), holdMsMax: limits.queue.holdMsMax },
  }
}

/**
 * Of the revision that serves, as its workers found them: one that some worker can use is offered, and nobody is asked to choose by a
 * gate that another revision has. Without a worker, as the resource says.
 */
function expertsOf(
  observed: Observed,
  target: Target,
  now: number,
  { gate }: Desired['spec'],
): Pick<ModelRecord, 'experts' | 'gate'> {
  const registration = bestRegistration(readyWorkers(observed, now), target)
  const gateOf = (sha256: string | undefined) =>
    sha256 === undefined ? {} : { gate: { sha256, probabilityMin: gate?.probabilityMin ?? 0 } }
  if (registration === null) {
    const experts = target.spec.experts.map(({ name }) => ({ name }))
    return { experts, ...gateOf(gateFileOf(target.spec)?.sha256) }
  }
  const said = registration.experts
  const usable = (said?.usable ?? []).map((name) => ({ name }))
  const refused = (said?.refused ?? []).flatMap(({ expert, message }) =>
    expert === null ? [] : [{ name: expert, refusal: message }],
  )
  return { experts: [...usable, ...refused], ...gateOf(said?.gate?.sha256) }
}

/** Of the model that answers; a calibration is about one and no other. Of a revision that is on its way out it is what was published. */
function digestOf(serving: Revision, target: Target, published: ModelRecord | null): Pick<ModelRecord, 'model'> {
  const own = target.spec.engine.kind === 'simulated' ? 'simulated' : target.spec.target?.sha256
  const model = serving === target.revision ? own : published?.revision === serving ? published.model : undefined
  return model === undefined ? {} : { model }
}

/** Whatever running workers follow. Their files are part of the revision. */
function liveSpeculation({ speculation }: Desired['spec']): ModelRecord['speculation'] {
  const { method, draftTokensMax, controller } = speculation
  return { method, draftTokensMax, controller }
}

type Target = Pick<RevisionEntry, 'revision' | 'spec'>
type Serving = Pick<ModelRecord, 'revision' | 'contextTokensMax' | 'capabilities' | 'simulated' | 'reproducible'>

function servingOf(observed: Observed, target: Target, now: number): Serving {
  const ready = readyWorkers(observed, now)
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

const readyWorkers = (observed: Observed, now: number) =>
  observed.workers.filter((worker) => stateOf(worker, observed.busConnectedSince, now) === 'ready')

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
