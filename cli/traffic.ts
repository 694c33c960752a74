/**
 * `paceline traffic`: what the router of a local instance keeps to calibrate with, by route; `paceline traffic purge` deletes it, of one route
 * (`--route`) or of all. The router may run meanwhile: it opens its files anew for each write. Prints names and sizes, never a line.
 * Touches nothing but what a router wrote: `--folder` may be one where somebody keeps labels beside it.
 */
import { open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { lineStart, routeOfFile } from '../router/trafficLog.ts'
import { chosenInstance } from './chosenInstance.ts'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { table } from './terminal.ts'
import { withCacheDir } from './up.ts'

const options = {
  port: { type: 'string' },
  folder: { type: 'string' },
  route: { type: 'string' },
  'cache-dir': { type: 'string' },
} as const

export async function traffic([what = '', ...more]: readonly string[], given: Context): Promise<number> {
  const isPurge = what === 'purge'
  if (!isPurge && what !== '' && !what.startsWith('--'))
    throw new Failure('invalid-configuration', `traffic: purge, or nothing to look, not "${what}"`)
  const flags = parseFlags('traffic', isPurge ? more : [what, ...more].filter((each) => each !== ''), options)
  const context = withCacheDir(given, flags['cache-dir'])
  const folder = flags.folder ?? chosenInstance(flags.port, context).paths.traffic
  const { kept, others } = await filesIn(folder)
  for (const name of others) context.terminal.line(`${join(folder, name)} was not written by a router: left alone`)
  const files = kept.filter(({ route }) => flags.route === undefined || route === flags.route)
  if (files.length === 0) context.terminal.line(`nothing is kept in ${folder}`)
  else if (isPurge) await purge(files, context)
  else for (const line of table(['ROUTE', 'ANSWERS', 'BYTES', 'FILE'], await rowsOf(files))) context.terminal.line(line)
  return 0
}

interface Kept {
  readonly route: string
  readonly path: string
}

/** By name and by how they begin: `labels.jsonl` could be the file of a route. */
async function filesIn(folder: string): Promise<{ kept: Kept[]; others: string[] }> {
  const names = await readdir(folder).catch(() => [])
  const kept: Kept[] = []
  const others: string[] = []
  for (const name of names.filter((each) => each.endsWith('.jsonl')).sort()) {
    const [route, path] = [routeOfFile(name), join(folder, name)]
    if (route !== null && (await isOfRouter(path))) kept.push({ route, path })
    else others.push(name)
  }
  return { kept, others }
}

/** A router may have written nothing yet, or only a part of its first line. */
async function isOfRouter(path: string): Promise<boolean> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(lineStart.length))
  return lineStart.startsWith(buffer.toString('utf8', 0, bytesRead))
}

async function purge(files: readonly Kept[], { terminal }: Context): Promise<void> {
  for (const { path } of files) await rm(path, { force: true })
  const routes = [...new Set(files.map(({ route }) => route))]
  terminal.line(`deleted what was kept of ${routes.join(', ')}`)
}

const rowsOf = (files: readonly Kept[]) =>
  Promise.all(
    files.map(async ({ route, path }) => {
      const { size } = await stat(path)
      const lines = (await readFile(path, 'utf8')).split('\n').length - 1
      return [route, String(lines), String(size), path]
    }),
  )
