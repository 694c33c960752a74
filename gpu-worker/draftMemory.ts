/**
 * Is there memory for a draft? The rules: what opening one needs beside what stays free for requests, and from when on a draft that
 * is open is one too many. Memory that runs out ends the whole process, so the draft goes before that. Pure.
 */
import { limits } from '#contracts/limits.ts'
import type { Memory } from './memory.ts'
import type { RunnerInfo } from './modelRunner.ts'

/** A draft on a GPU takes and gives back the GPU's memory, of which its library has the say: it refuses what does not fit. */
export const isInMainMemory = ({ simulated, backend }: Pick<RunnerInfo, 'simulated' | 'backend'>) =>
  simulated || backend === 'cpu'

export interface DraftNeeds {
  readonly weightsBytes: number
  /** Its cells; not known before its file is open. */
  readonly contextBytes: number | null
}

const advice = 'Raise the worker’s memory, lower engine.slots or engine.contextTokensMax, or take a smaller draft'

/** What is missing, for people; null where there is room, or nobody knows. */
export function draftMemoryFault(memory: Memory | null, { weightsBytes, contextBytes }: DraftNeeds): string | null {
  const { draftMemorySpareBytes } = limits.speculation
  const missing = weightsBytes + (contextBytes ?? 0) + draftMemorySpareBytes - (memory?.availableBytes ?? 0)
  if (memory === null || missing <= 0) return null
  const context = contextBytes === null ? '' : `, its context ${mib(contextBytes)} MiB`
  return (
    `${mib(missing)} MiB of memory are missing: the draft's weights are ${mib(weightsBytes)} MiB${context}, ` +
    `${mib(draftMemorySpareBytes)} MiB stay free, and ${inWords(memory)}. ${advice}`
  )
}

/** Why a draft that is open has to go; null where it may stay. */
export function memoryPressure(memory: Memory | null): string | null {
  const { draftMemoryFreeBytesMin } = limits.speculation
  if (memory === null || memory.availableBytes >= draftMemoryFreeBytesMin) return null
  return (
    `${inWords(memory)}, less than the ${mib(draftMemoryFreeBytesMin)} MiB that stay free for requests, so the draft was closed; ` +
    `a restart of the worker opens it again. ${advice}`
  )
}

const inWords = ({ availableBytes, boundBy }: Memory) => `${mib(availableBytes)} MiB are left of the ${boundBy}`

const mib = (bytes: number) => Math.ceil(bytes / 2 ** 20)
