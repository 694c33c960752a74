/**
 * `paceline traffic`: what the router of a local instance keeps to calibrate with, by route; `paceline traffic purge` deletes it, of one route
 * (`--route`) or of all. The router may run meanwhile: it opens its files anew for each write. Prints names and sizes, never a line.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
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
  const files = (await filesIn(folder)).filter(({ route }) => flags.route === undefined || route === flags.route)
  if (files.length === 0) context.terminal.line(`nothing is kept in ${folder}`)
  else if (isPurge) await purge(files, context)
  else for (const line of table(['ROUTE', 'ANSWERS', 'BYTES', 'FILE'], await rowsOf(files))) context.terminal.line(line)
  return 0
}

interface Kept {
  readonly route: string
  readonly path: string
}

/** `<route>.jsonl`, and `<route>.1.jsonl` for what was put aside (`router/trafficLog.ts`). */
async function filesIn(folder: string): Promise<Kept[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => ({ route: name.replace(/(\.1)?\.jsonl$/, ''), path: join(folder, name) }))
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
