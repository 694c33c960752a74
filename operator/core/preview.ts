/**
 * What the planner would do, step by step, if everything went well: models arrive, workers become ready, those that drain end.
 *
 * Pure. The same planner as in a reconcile, against a snapshot that changes as its actions say; a rollout that would not end is
 * cut off. Nothing here predicts a failure: what happens then is the rollout's to decide when it happens.
 */
import { type DeploymentName, Revision, WorkerId } from '#contracts/ids.ts'
import type { ModelState, Observed, ObservedWorker } from './observed.ts'
import { type Action, type NextStep, planDeployment } from './plan.ts'
import { judge } from './workers.ts'

export interface PreviewStep {
  /** In order; of the kinds that a person sees. */
  readonly actions: readonly Action[]
  /** What is awaited after them. */
  readonly next: NextStep
  /** Workers that answer, and workers that exist, once the actions are taken. */
  readonly ready: number
  readonly alive: number
}

export interface Preview {
  readonly steps: readonly PreviewStep[]
  readonly end: 'done' | 'stalled' | 'endless'
  /** While it runs, the present included. */
  readonly readyLeast: number
  readonly aliveMost: number
}

const stepsMax = 4_000

export function preview(observed: Observed, now: number): Preview {
  const steps: PreviewStep[] = []
  let world: World = { observed, now, born: 0 }
  let end: Preview['end'] = 'endless'
  const start = countsOf(world)
  for (let i = 0; i < stepsMax; i += 1) {
    const plan = planDeployment(world.observed, world.now)
    for (const action of plan.actions) world = taken(world, action)
    steps.push({ actions: plan.actions.filter(isVisible), next: plan.next, ...countsOf(world) })
    if (plan.next.kind !== 'wait') {
      end = plan.next.kind
      break
    }
    world = settled(world, plan.next)
  }
  const all = [start, ...steps]
  return {
    steps: merged(steps),
    end,
    readyLeast: Math.min(...all.map(({ ready }) => ready)),
    aliveMost: Math.max(...all.map(({ alive }) => alive)),
  }
}

interface World {
  readonly observed: Observed
  readonly now: number
  readonly born: number
}

/** What the operator keeps for itself, and tells routers, happens with every change. */
const isVisible = ({ kind }: Action) => kind !== 'write-history' && kind !== 'publish-record' && kind !== 'forget'

/** Steps in which nothing is done but waiting for the same thing say nothing new. */
function merged(steps: readonly PreviewStep[]): PreviewStep[] {
  return steps.filter((step, i) => {
    const before = steps[i - 1]
    const isSame = before?.next.kind === 'wait' && step.next.kind === 'wait' && before.next.until === step.next.until
    return step.actions.length > 0 || !isSame
  })
}

function countsOf({ observed, now }: World): { ready: number; alive: number } {
  const workers = judge(observed, now)
  return { ready: workers.filter(({ state }) => state === 'ready').length, alive: workers.length }
}

function taken({ observed, now, born }: World, action: Action): World {
  const { workers } = observed
  const changed = (fields: Partial<Observed>): World => ({ observed: { ...observed, ...fields }, now, born })
  switch (action.kind) {
    case 'write-history':
      return changed({ history: action.history })
    case 'fetch-model':
      return changed({ models: new Map([...observed.models, [action.file.sha256, fetching]]) })
    case 'start-worker': {
      const worker = newWorker(action.start.revision, born, now)
      return { ...changed({ workers: [...workers, worker] }), born: born + 1 }
    }
    case 'drain-worker':
      return changed({ workers: workers.map((w) => (w.worker === action.worker ? { ...w, drainAskedAt: now } : w)) })
    case 'kill-worker':
      return changed({ workers: workers.filter(({ worker }) => worker !== action.worker) })
    case 'publish-record':
      return changed({ published: action.record })
    case 'remove-record':
      return changed({ published: null })
    case 'forget':
      return changed({})
    default:
      return action satisfies never
  }
}

const fetching: ModelState = { kind: 'fetching', activity: '', bytes: 0, bytesTotal: null, bytesPerSecond: 0 }

function newWorker(revision: Revision, born: number, now: number): ObservedWorker {
  return {
    worker: WorkerId.parse(`new-${born + 1}`),
    revision,
    startedAt: now,
    drainAskedAt: null,
    report: null,
    heardAt: null,
    readySince: null,
    registration: null,
  }
}

/** What is awaited happens; time passes, and every worker that has spoken goes on speaking. */
function settled({ observed, now, born }: World, next: Extract<NextStep, { kind: 'wait' }>): World {
  const passes = next.until === 'watched' || next.until === 'back-off'
  const then = now + (passes && Number.isFinite(next.recheckMs) ? next.recheckMs : 1)
  const heard = observed.workers.map((worker) => (worker.heardAt === null ? worker : { ...worker, heardAt: then }))
  const settledWorld = (fields: Partial<Observed>): World => ({
    observed: { ...observed, workers: heard, ...fields },
    now: then,
    born,
  })
  switch (next.until) {
    case 'model':
      return settledWorld({ models: new Map([...observed.models].map(([sha256]) => [sha256, present])) })
    case 'worker-ready':
      return settledWorld({ workers: heard.map((worker) => readied(worker, observed.name, then)) })
    case 'drained':
      return settledWorld({ workers: heard.filter(({ drainAskedAt }) => drainAskedAt === null) })
    case 'back-off':
    case 'watched':
      return settledWorld({})
    default:
      return next.until satisfies never
  }
}

const present: ModelState = { kind: 'ready', path: '' }

/** A worker that is asked nothing and answers everything. */
export function readied(worker: ObservedWorker, deployment: DeploymentName, now: number): ObservedWorker {
  if (worker.drainAskedAt !== null || worker.report?.state === 'ready') return worker
  return {
    ...worker,
    heardAt: now,
    readySince: now,
    report: {
      worker: worker.worker,
      deployment,
      revision: Revision.parse(worker.revision),
      number: 0,
      state: 'ready',
      slots: { total: 1, busy: 0, waiting: 0 },
      cells: { total: 1, used: 0 },
      promptTokensPending: 0,
      prefixes: [],
      acceptanceLength: 1,
      tokensPerSecond: 0,
      experts: [],
    },
  }
}
