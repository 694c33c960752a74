/** Which changes of a status are worth an event: a condition that people watch turned, or its reason did. Pure. */
import type { Condition, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Occurrence } from '../events.ts'

const watched: Readonly<Record<string, 'True' | 'False'>> = {
  Ready: 'True',
  Progressing: 'False',
  Degraded: 'False',
  ModelCacheReady: 'True',
  Stopped: 'False',
}

export function occurrencesOf(before: ModelDeploymentStatus | null, now: ModelDeploymentStatus): Occurrence[] {
  return now.conditions.flatMap((condition) => {
    const previous = before?.conditions.find(({ type }) => type === condition.type)
    return isNews(previous, condition) ? [occurrenceOf(condition)] : []
  })
}

function isNews(before: Condition | undefined, now: Condition): boolean {
  if (!(now.type in watched)) return false
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
