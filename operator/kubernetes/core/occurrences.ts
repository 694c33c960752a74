/** Which changes of a status are worth an event: a condition that people watch turned, or its reason did. Pure. */
import type { Judged } from '../../core/conditions.ts'
import type { Occurrence } from '../events.ts'

const watched: ReadonlySet<string> = new Set([
  'Ready',
  'Progressing',
  'Degraded',
  'ModelCacheReady',
  'DeploymentsReady',
  'CalibrationReady',
  'Stopped',
])

type Condition = Judged<string>
interface Status {
  readonly conditions: readonly Condition[]
}

export function occurrencesOf(before: Status | null, now: Status): Occurrence[] {
  const news = now.conditions.filter((condition) =>
    isNews(
      before?.conditions.find(({ type }) => type === condition.type),
      condition,
    ),
  )
  const serves = news.some(({ type, status }) => type === 'Ready' && status === 'True')
  // "Serving" says it already.
  return news.filter(({ type }) => type !== 'Progressing' || !serves).map(occurrenceOf)
}

function isNews(before: Condition | undefined, now: Condition): boolean {
  if (!watched.has(now.type)) return false
  // That something goes on is seen in the status; that it has ended, or cannot, is worth a word.
  if (now.type === 'Progressing' && now.status === 'True') return false
  if (before?.status === now.status && before.reason === now.reason) return false
  // At first everything is not ready yet and nothing is degraded: that is no news.
  return before !== undefined || (now.type === 'Degraded' && now.status === 'True')
}

function occurrenceOf({ type, status, reason, message }: Condition): Occurrence {
  const isTrouble = type === 'Degraded' && status === 'True'
  return {
    type: isTrouble ? 'Warning' : 'Normal',
    reason,
    action: 'Reconciling',
    note: `${type} is ${status}: ${message}`,
  }
}
