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
  const said = words(reason, replicas, recommended)
  const advises = reason === 'Advisory' || reason === 'AtMaximum'
  const isSame = before !== null && before.reason === said.reason && replicasBefore === replicas
  if (isSame && (!advises || before.recommended === recommended)) return before
  return { recommended, holds: reason === 'StaleMetrics', ...said }
}

/** How it came about that there are so many is in the log and the events; the condition says how it stands. */
function words(reason: ScaleReason, replicas: number, recommended: number): Pick<ScaleView, 'reason' | 'message'> {
  switch (reason) {
    case 'Steady':
    case 'ScaledUp':
    case 'ScaledDown':
    case 'Stabilizing':
    case 'WokenByRequest':
      return { reason: 'WithinBounds', message: `the load decides; ${replicas} wanted` }
    case 'AtMaximum':
      return {
        reason,
        message: `the load needs more than maxReplicas, which is ${replicas}; raise it if there is room`,
      }
    case 'Asleep':
      return { reason, message: 'nobody asks; the next request is held and starts a worker' }
    case 'StaleMetrics':
      return { reason, message: `no router reports its load; ${replicas} are kept until one does` }
    case 'Advisory':
      return { reason, message: `mode is advisory; ${replicas} run, ${recommended} would be wanted` }
    default:
      return reason satisfies never
  }
}
