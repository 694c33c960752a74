/** `paceline fetch`: brings the models of a resource file into the cache, so that a later start needs no network. */
import { resolve } from 'node:path'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { obtainModel, resourcesIn } from './models.ts'
import { withCacheDir } from './up.ts'

export async function fetch(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('fetch', args, { file: { type: 'string' }, 'cache-dir': { type: 'string' } })
  const context = withCacheDir(given, flags['cache-dir'])
  const { deployments } = await resourcesIn(
    resolve(flags.file ?? resolve(context.config.root, 'examples', 'local.yaml')),
  )
  for (const { metadata, spec } of deployments) {
    if (spec.target === undefined) continue
    context.terminal.line(`${metadata.name}: ${await obtainModel(spec.target, context)}`)
  }
  return 0
}
