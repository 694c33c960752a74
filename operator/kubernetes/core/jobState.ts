/** How a fetch Job stands, from its object and its pods. Pure. */
import type { Job, Pod } from './objects.ts'

export type JobState =
  | { readonly kind: 'complete' }
  /** `final`: trying again would fail again. */
  | { readonly kind: 'failed'; readonly message: string; readonly final: boolean }
  | { readonly kind: 'running'; readonly waitsFor: string | null }

/** The fetch's exit code for what only a change of the resource helps with (`operator/fetch`). */
const finalCode = 2

export function jobStateOf(job: Job, pods: readonly Pod[]): JobState {
  const is = (type: string) =>
    job.status?.conditions?.find((condition) => condition.type === type && condition.status === 'True')
  if (is('Complete') !== undefined) return { kind: 'complete' }
  const failed = is('Failed')
  if (failed === undefined) return { kind: 'running', waitsFor: pods.map(waitsFor).find((why) => why !== null) ?? null }
  const ends = pods.flatMap((pod) => {
    const ended = pod.status?.containerStatuses?.[0]?.state?.terminated
    return ended === undefined ? [] : [ended]
  })
  const last = ends.at(-1)
  const words = lastLine(last?.message) ?? failed.message ?? failed.reason ?? 'the fetch failed'
  return { kind: 'failed', message: words, final: last?.exitCode === finalCode }
}

function lastLine(text: string | undefined): string | null {
  const lines = (text ?? '').split('\n').filter((line) => line.trim() !== '')
  return lines.at(-1) ?? null
}

function waitsFor(pod: Pod): string | null {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') return `the fetch finds no node: ${scheduled.message ?? scheduled.reason ?? ''}`
  const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting
  if (waiting?.reason === undefined || waiting.reason === 'ContainerCreating') return null
  return `the fetch cannot start: ${waiting.reason}: ${waiting.message ?? ''}`
}
