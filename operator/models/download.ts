/**
 * One file over HTTP into a `.part` file: resumed where it broke off (by an earlier process too), hashed while it streams.
 *
 * The caller owns the part file and decides by the hash what it is worth. Bounded: `attemptsMax` broken connections in a row
 * without a new byte end it, and a connection without a byte for `stallMs` counts as broken.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import { asRoomFailure, assertRoom } from './disk.ts'
import { shown } from './sources.ts'

export interface DownloadRequest {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly partPath: string
  readonly signal: AbortSignal
  /** `fresh`: bytes that came over the wire just now, as against those found in the part file. */
  onBytes(progress: { bytes: number; bytesTotal: number | null; fresh: number }): void
}

/** The whole content is in the part file; its SHA-256. Throws `Failure('download-failed')`. */
export async function download(request: DownloadRequest, clock: Clock): Promise<string> {
  let bytesBest = await sizeOf(request.partPath)
  let attempt = 1
  for (;;) {
    try {
      return await downloadOnce(request, clock)
    } catch (error) {
      request.signal.throwIfAborted()
      const failure = asDownloadFailure(error, request)
      const bytes = await sizeOf(request.partPath)
      // Measured against the best so far: a server that cannot resume must not look like one that makes progress.
      attempt = bytes > bytesBest ? 1 : attempt + 1
      bytesBest = Math.max(bytesBest, bytes)
      if (failure.retry.kind === 'never' || attempt > limits.fetch.attemptsMax) throw failure
      const waitMs = Math.min(limits.fetch.retryWaitMs * 2 ** (attempt - 1), limits.fetch.retryWaitMsMax)
      await delay(clock, waitMs, request.signal)
    }
  }
}

async function downloadOnce(request: DownloadRequest, clock: Clock): Promise<string> {
  const stall = new AbortController()
  const stalled = new Failure('download-failed', `${shown(request.url)}: no byte for ${limits.fetch.stallMs} ms`, {
    retry: { kind: 'after', afterMs: 0 },
  })
  let timer = clock.after(limits.fetch.stallMs, () => stall.abort(stalled))
  const onChunk = () => {
    timer.cancel()
    timer = clock.after(limits.fetch.stallMs, () => stall.abort(stalled))
  }
  try {
    return await receive(request, AbortSignal.any([request.signal, stall.signal]), onChunk)
  } finally {
    timer.cancel()
  }
}

async function receive(request: DownloadRequest, signal: AbortSignal, onChunk: () => void): Promise<string> {
  const have = await sizeOf(request.partPath)
  // `identity`: a range counts in encoded bytes, the part file in decoded ones.
  const headers: Record<string, string> = { ...request.headers, 'accept-encoding': 'identity' }
  if (have > 0) headers.range = `bytes=${have}-`
  const response = await fetch(request.url, { headers, signal, redirect: 'follow' })
  const start = startOf(response, have, request.url)
  const bytesTotal = totalOf(response, start)
  await assertRoom(dirname(request.partPath), (bytesTotal ?? 0) - start)
  const hash = createHash('sha256')
  if (start > 0) await pipeline(createReadStream(request.partPath, { end: start - 1 }), hash, { end: false, signal })
  await using file = await open(request.partPath, start === 0 ? 'w' : 'a')
  request.onBytes({ bytes: start, bytesTotal, fresh: 0 })
  const bytes = await write({ response, file, hash, start }, (fresh, bytes) => {
    onChunk()
    request.onBytes({ bytes, bytesTotal, fresh })
  })
  if (bytesTotal !== null && bytes !== bytesTotal) throw broken(request.url, `${bytes} of ${bytesTotal} bytes came`)
  return hash.digest('hex')
}

/** The position in the content at which the body starts. */
function startOf(response: Response, have: number, url: URL): number {
  if (response.status === 200) return 0
  if (response.status === 206) {
    const from = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
    if (Number(from) === have) return have
    throw broken(url, `asked for bytes from ${have}, got ${response.headers.get('content-range')}`)
  }
  void response.body?.cancel()
  // The part is as long as the content or longer, so there is nothing to add: the hash will say what it is.
  if (response.status === 416) return have
  const again = response.status >= 500 || response.status === 429 || response.status === 408
  throw new Failure('download-failed', `${shown(url)}: HTTP ${response.status}`, {
    retry: again ? { kind: 'after', afterMs: 0 } : { kind: 'never' },
  })
}

function totalOf(response: Response, start: number): number | null {
  if (response.status === 416) return start
  const total =
    response.status === 206
      ? /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
      : response.headers.get('content-length')
  return total === null || total === undefined ? null : Number(total)
}

async function write(
  to: { response: Response; file: FileHandle; hash: Hash; start: number },
  onChunk: (fresh: number, bytes: number) => void,
): Promise<number> {
  let bytes = to.start
  if (to.response.status === 416 || to.response.body === null) return bytes
  for await (const chunk of to.response.body as AsyncIterable<Uint8Array>) {
    to.hash.update(chunk)
    await to.file.writeFile(chunk)
    bytes += chunk.length
    onChunk(chunk.length, bytes)
  }
  return bytes
}

function asDownloadFailure(error: unknown, request: DownloadRequest): Failure {
  const known = asRoomFailure(error, dirname(request.partPath))
  if (known instanceof Failure) return known
  if (!(error instanceof Error)) throw error
  // `fetch` says "fetch failed" or "terminated"; what happened stands in its cause.
  const cause = error.cause instanceof Error ? error.cause : error
  return broken(request.url, cause.message, error)
}

function broken(url: URL, why: string, cause?: unknown): Failure {
  return new Failure('download-failed', `${shown(url)}: ${why}`, { retry: { kind: 'after', afterMs: 0 }, cause })
}

export async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0
}
