/** A preview in words: what changes, what is done in which order, and what it costs while it runs. Pure. */
import type { Observed } from '../../operator/core/observed.ts'
import type { Action, NextStep } from '../../operator/core/plan.ts'
import type { Preview, PreviewStep } from '../../operator/core/preview.ts'
import { changesOf, changeText } from './changes.ts'
import type { Present } from './present.ts'

export function planText(present: Present | null, observed: Observed, { steps, end, ...bounds }: Preview): string[] {
  const acting = steps.filter(({ actions }) => actions.length > 0)
  const head = headOf(present, observed)
  if (acting.length === 0) return [`${head}${head.endsWith('no change') ? '' : '; no worker is touched'}`]
  const numbered = steps
    .filter(({ actions, next }) => actions.length > 0 || (next.kind === 'wait' && next.until === 'watched'))
    .map((step, i) => `  ${i + 1}. ${stepText(step, observed)}`)
  return [
    head,
    ...numbered,
    ...(end === 'done' ? [] : [`  ${endText(end, steps)}`]),
    `  ${serviceText(present, observed, bounds)}`,
  ]
}

function headOf(present: Present | null, { name, desired }: Observed): string {
  if (desired === null) return `${name}: removed`
  if (present === null) return `${name}: new, revision ${desired.revision}`
  if (present.spec === null) return `${name}: revision ${desired.revision}`
  const changes = changesOf(present.spec, desired.spec).map(changeText)
  if (changes.length === 0) return `${name}: no change`
  const before = present.history[0]?.revision
  const revision =
    before === undefined || before === desired.revision ? '' : `; revision ${before} → ${desired.revision}`
  return `${name}: ${changes.join(', ')}${revision}`
}

function stepText({ actions, next }: PreviewStep, observed: Observed): string {
  const done = [...startTexts(actions), ...actions.flatMap(actionText)].join(', ')
  const awaited = awaitText(next, observed)
  return [done, awaited].filter((part) => part !== '').join(', then ')
}

/** Starts of the same revision as one. */
function startTexts(actions: readonly Action[]): string[] {
  const starts = actions.filter((action) => action.kind === 'start-worker')
  const revisions = [...new Set(starts.map(({ start }) => start.revision))]
  return revisions.map((revision) => {
    const count = starts.filter(({ start }) => start.revision === revision).length
    return `start ${count === 1 ? 'a worker' : `${count} workers`} of revision ${revision}`
  })
}

function actionText(action: Action): string[] {
  switch (action.kind) {
    case 'fetch-model':
      return [`fetch ${action.file.source} (unless it is in the cache)`]
    case 'drain-worker':
      return [`drain ${action.worker} (${action.why})`]
    case 'kill-worker':
      return [`kill ${action.worker} (${action.why})`]
    case 'remove-record':
      return ['tell routers that it is gone']
    case 'start-worker':
    case 'write-history':
    case 'publish-record':
    case 'forget':
      return []
    default:
      return action satisfies never
  }
}

function awaitText(next: NextStep, { desired, drainGraceMs, history }: Observed): string {
  if (next.kind !== 'wait') return ''
  const rollout = desired?.spec.rollout
  const good = history.find(({ state }) => state === 'good')
  const back =
    rollout?.automaticRollback === true && good !== undefined && good.revision !== desired?.revision
      ? `, else back to ${good.revision}`
      : ''
  switch (next.until) {
    case 'model':
      return 'wait until it is verified'
    case 'worker-ready':
      return `wait until ready (${rollout?.readyTimeoutSeconds ?? 0} s at most${back})`
    case 'drained':
      return `wait until it has finished (${Math.round(drainGraceMs / 1_000)} s at most)`
    case 'watched':
      return `watch it for ${rollout?.guard.observeSeconds ?? 0} s${back}`
    case 'back-off':
      return 'wait before the next try'
    default:
      return next.until satisfies never
  }
}

function endText(end: Preview['end'], steps: readonly PreviewStep[]): string {
  const last = steps.at(-1)?.next
  return end === 'stalled' && last?.kind === 'stalled' ? `stalls: ${last.reason}` : 'does not come to an end'
}

function serviceText(
  present: Present | null,
  { replicas }: Observed,
  { readyLeast, aliveMost }: Pick<Preview, 'readyLeast' | 'aliveMost'>,
): string {
  const most = `${count(aliveMost)} at most at the same time`
  const served = present?.workers.some(({ state }) => state === 'ready') === true
  if (!served || replicas === 0) return most
  if (readyLeast === 0) return `no worker answers for a while (rollout.maxSurge 1 would avoid it), ${most}`
  return `at least ${count(readyLeast)} answering all the time, ${most}`
}

const count = (n: number) => `${n} ${n === 1 ? 'worker' : 'workers'}`
