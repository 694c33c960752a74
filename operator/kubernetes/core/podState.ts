/** What a worker pod's object says about its life: runs, ends, why it waits, how it ended. Pure. */
import { describeEnd } from '../../core/lastWords.ts'
import type { Pod } from './objects.ts'

export const isEnded = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
export const isRunning = (pod: Pod): boolean => containerState(pod)?.running !== undefined

export interface PodEnd {
  readonly code: number | null
  /** For a person. */
  readonly message: string
}

export function endOf(pod: Pod): PodEnd {
  const { name = '' } = pod.metadata ?? {}
  const terminated = containerState(pod)?.terminated
  const reason = [pod.status?.reason, pod.status?.message].filter((part) => part !== undefined).join(': ')
  if (terminated === undefined)
    return { code: null, message: `worker ${name} ${reason === '' ? 'ended before it ran' : `was ended: ${reason}`}` }
  const { exitCode, signal, startedAt, finishedAt, message = '' } = terminated
  const killed =
    signal !== undefined && signal > 0 ? `signal ${signal}` : terminated.reason === 'OOMKilled' ? oom : null
  const how = describeEnd({
    code: exitCode,
    signal: killed,
    ageMs: ageOf(startedAt, finishedAt),
    lines: message.split('\n'),
    spawnError: terminated.reason === 'StartError' || terminated.reason === 'ContainerCannotRun' ? message : null,
  })
  return { code: exitCode, message: `worker ${name} ${how}${reason === '' ? '' : `; ${reason}`}` }
}

const oom = 'the memory limit (OOMKilled); raise spec.resources.limits.memory or use a smaller context'

/** Both instants are the kubelet's own. */
function ageOf(startedAt: string | undefined, finishedAt: string | undefined): number {
  const ms = Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')
  return Number.isFinite(ms) ? Math.max(0, ms) : 0
}

/** Why a pod does not run yet, where that may need somebody; null: it runs, or nothing is wrong so far. */
export function waitsFor(pod: Pod): string | null {
  if (isRunning(pod) || isEnded(pod)) return null
  const { name = '' } = pod.metadata ?? {}
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') return `${name} finds no node: ${scheduled.message ?? scheduled.reason ?? ''}`
  const states = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])]
  const waiting = states.map(({ state }) => state?.waiting).find((state) => isTrouble(state?.reason))
  if (waiting !== undefined) return `${name} cannot start: ${waiting.reason ?? ''}: ${waiting.message ?? ''}`
  return null
}

const routine = new Set(['ContainerCreating', 'PodInitializing', ''])
const isTrouble = (reason: string | undefined) => reason !== undefined && !routine.has(reason)

function containerState(pod: Pod) {
  return pod.status?.containerStatuses?.find(({ name }) => name === 'worker')?.state
}
