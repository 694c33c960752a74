/**
 * The cache folder: verified model files by their SHA-256, and what says that they were verified.
 *
 * `<digest>.gguf` is the file (or, for a `file://` source, a link to it: nothing is copied), `<digest>.json` its marker with
 * size and time of change. A file that still has both is not hashed again: at 3 s per GB that would be most of a start.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import * as z from 'zod'

export interface ModelCache {
  readonly folder: string
  pathOf(sha256: string): string
  partOf(sha256: string): string
  lockOf(sha256: string): string
  /** The verified file, by its marker alone; null where there is none or it has changed since. */
  trusted(sha256: string): Promise<string | null>
  /** A file is there, but not (or no more) as its marker says: hashed again, kept where it is right, else removed. */
  recheck(sha256: string, signal: AbortSignal): Promise<{ kind: 'none' | 'kept' | 'removed' }>
  /** The part file is the content: it becomes the file. */
  adopt(sha256: string): Promise<string>
  /** The file elsewhere on this machine is the content: it is linked. */
  adoptLink(sha256: string, target: string): Promise<string>
}

const Marker = z.object({ size: z.number(), mtimeMs: z.number() })

export async function openModelCache(cacheDir: string): Promise<ModelCache> {
  const folder = join(cacheDir, 'models', 'sha256')
  await mkdir(folder, { recursive: true })
  const pathOf = (sha256: string) => join(folder, `${sha256}.gguf`)
  const markerOf = (sha256: string) => join(folder, `${sha256}.json`)
  const partOf = (sha256: string) => join(folder, `${sha256}.part`)

  const mark = async (sha256: string): Promise<string> => {
    const { size, mtimeMs } = await stat(pathOf(sha256))
    const aside = `${markerOf(sha256)}.new`
    await writeFile(aside, JSON.stringify({ size, mtimeMs }))
    await rename(aside, markerOf(sha256))
    return pathOf(sha256)
  }
  return {
    folder,
    pathOf,
    partOf,
    lockOf: (sha256) => join(folder, `${sha256}.lock`),
    async trusted(sha256) {
      const found = await stat(pathOf(sha256)).catch(() => null)
      const marker = await readMarker(markerOf(sha256))
      const same = found !== null && marker?.size === found.size && marker.mtimeMs === found.mtimeMs
      return same ? pathOf(sha256) : null
    },
    async recheck(sha256, signal) {
      if ((await stat(pathOf(sha256)).catch(() => null)) === null) return { kind: 'none' }
      if ((await hashFile(pathOf(sha256), signal)) === sha256) {
        await mark(sha256)
        return { kind: 'kept' }
      }
      await rm(pathOf(sha256), { force: true })
      await rm(markerOf(sha256), { force: true })
      return { kind: 'removed' }
    },
    async adopt(sha256) {
      await rename(partOf(sha256), pathOf(sha256))
      return mark(sha256)
    },
    async adoptLink(sha256, target) {
      await rm(pathOf(sha256), { force: true })
      await symlink(target, pathOf(sha256))
      return mark(sha256)
    },
  }
}

async function readMarker(path: string): Promise<z.infer<typeof Marker> | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  try {
    return Marker.parse(JSON.parse(text))
  } catch {
    // No marker, or a torn one: the file counts as not verified, and is hashed.
    return null
  }
}

export async function hashFile(path: string, signal: AbortSignal, onBytes?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  const source = createReadStream(path, { highWaterMark: 1024 * 1024 })
  if (onBytes !== undefined) {
    source.on('data', (chunk) => {
      bytes += chunk.length
      onBytes(bytes)
    })
  }
  await pipeline(source, hash, { signal })
  return hash.digest('hex')
}
