/**
 * Is there room? Asked before a download starts, because a full disk found at 99% has cost the whole download and may have
 * stopped other programs too.
 */
import { statfs } from 'node:fs/promises'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'

export async function assertRoom(folder: string, bytesNeeded: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const bytesFree = bavail * bsize
  if (bytesFree >= bytesNeeded + limits.fetch.diskReserveBytes) return
  throw noRoom(
    folder,
    `${mib(bytesNeeded)} MiB needed (and ${mib(limits.fetch.diskReserveBytes)} to spare), ${mib(bytesFree)} MiB free`,
  )
}

/** ENOSPC and EDQUOT on the way mean the same as no room before it. */
export function asRoomFailure(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return code === 'ENOSPC' || code === 'EDQUOT' ? noRoom(folder, 'it filled up while the model was written') : error
}

function noRoom(folder: string, detail: string): Failure {
  const message = `no room for the model in ${folder}: ${detail}; free some space or choose another cache folder`
  return new Failure('download-failed', message, {
    retry: { kind: 'after', afterMs: limits.operator.fetchBackOffMsMax },
  })
}

const mib = (bytes: number) => Math.ceil(bytes / 1024 / 1024)
