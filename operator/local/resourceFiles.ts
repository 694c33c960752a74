/**
 * Reads the resource file (or each `.yaml`, `.yml`, `.json` of a folder) and says when something there has changed.
 *
 * Editors and `git` write in several steps, so a change is announced once nothing has moved for `fileSettleMs`; since some file
 * systems report nothing, a look every `filePollMs` finds what was missed.
 */
import { type FSWatcher, watch } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { ResourceFile } from './resources.ts'

/** Throws `Failure('invalid-configuration')` where nothing can be read. */
export async function readFiles(path: string): Promise<ResourceFile[]> {
  const paths = await listFiles(path)
  return Promise.all(paths.map(async (file) => ({ path: file, text: await readText(file) })))
}

async function listFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  if (!found.isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort()
  if (names.length > limits.operator.resourceFilesMax)
    throw new Failure('invalid-configuration', `${path}: more than ${limits.operator.resourceFilesMax} resource files`)
  return names.map((name) => join(path, name))
}

async function readText(path: string): Promise<string> {
  const { size } = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  if (size > limits.operator.resourceFileBytesMax)
    throw new Failure(
      'invalid-configuration',
      `${path}: ${size} bytes; at most ${limits.operator.resourceFileBytesMax}`,
    )
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
}

function unreadable(path: string, cause: unknown): Failure {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Failure('invalid-configuration', `${path}: cannot be read (${why})`, { cause })
}

export interface FileWatch {
  close(): void
}

export async function watchFiles(
  path: string,
  options: { clock: Clock; log: Log; onChange: () => void },
): Promise<FileWatch> {
  const { clock, log, onChange } = options
  let settle: Timer | null = null
  let signature = await signatureOf(path)
  const look = async () => {
    const now = await signatureOf(path)
    if (signature === now) return
    signature = now
    settle?.cancel()
    settle = clock.after(limits.operator.fileSettleMs, onChange)
  }
  const poll = clock.every(limits.operator.filePollMs, () => void look())
  const found = await stat(path).catch(() => null)
  // The folder is watched, not the file: editors replace files, and a watch would stay with the old one.
  const watcher = openWatcher(found?.isDirectory() ? path : dirname(path), () => void look(), log)
  return {
    close() {
      settle?.cancel()
      poll.cancel()
      watcher?.close()
    },
  }
}

function openWatcher(folder: string, onEvent: () => void, log: Log): FSWatcher | null {
  try {
    const watcher = watch(folder, onEvent)
    watcher.on('error', (error) => log.warn({ error, folder }, 'watching the resources failed; they are polled'))
    return watcher
  } catch (error) {
    log.warn({ error, folder }, 'the resources cannot be watched; they are polled')
    return null
  }
}

/** Names, sizes and times of change of everything that is read: equal as long as nothing changed. */
async function signatureOf(path: string): Promise<string> {
  const paths = await listFiles(path).catch(() => [])
  const stats = await Promise.all(paths.map((file) => stat(file, { bigint: true }).catch(() => null)))
  return paths.map((file, i) => `${file}:${stats[i]?.ino}:${stats[i]?.size}:${stats[i]?.mtimeNs}`).join('\n')
}
