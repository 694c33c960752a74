/**
 * What the condition `ScalingReady` says of a decision. Pure. Words change only when the decision does: a message that followed the
 * load would be a write per second.
 */
import type { ScaleView } from './observed.ts'
import type { ScaleDecision, ScaleReason } from './scale.ts'

/** The view of before where it still says what is true. `replicasBefore`: null where there was none. */
export function scaleView(
  { replicas, recommended, reason }: ScaleDecision,
  before: ScaleView | null,
  replicasBefore: number | null,
): ScaleView {
  const said = conditionReason(reason)
  const advises = reason === 'Advisory' || reason === 'AtMaximum'
  const isSame = before !== null && before.reason === said && replicasBefore === replicas
  if (isSame && (!advises || before.recommended === recommended)) return before
  return {
    recommended,
    reason: said,
    holds: reason === 'StaleMetrics',
    message: messageOf(reason, replicas, recommended),
  }
}

/** How it came about that there are so many is in the log and the events; the condition says how it stands. */
function conditionReason(reason: ScaleReason): string {
  switch (reason) {
    case 'Steady':
    case 'ScaledUp':
    case 'ScaledDown':
    case 'Stabilizing':
    case 'WokenByRequest':
      return 'WithinBounds'
    case 'AtMaximum':
    case 'Asleep':
    case 'StaleMetrics':
    case 'Advisory':
      return reason
    default:
      return reason satisfies never
  }
}

function messageOf(reason: ScaleReason, replicas: number, recommended: number): string {
  switch (reason) {
    case 'Steady':
    case 'ScaledUp':
    case 'ScaledDown':
    case 'Stabilizing':
    case 'WokenByRequest':
      return `the load decides; ${replicas} wanted`
    case 'AtMaximum':
      return `the load needs more than maxReplicas, which is ${replicas}; raise it if there is room`
    case 'Asleep':
      return 'nobody asks; the next request is held and starts a worker'
    case 'StaleMetrics':
      return `no router reports its load; ${replicas} are kept until one does`
    case 'Advisory':
      return `mode is advisory; ${replicas} run, ${recommended} would be wanted`
    default:
      return reason satisfies never
  }
}
