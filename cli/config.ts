/**
 * Where the command line keeps things, from the environment; nothing else in `cli/` reads it.
 *
 * `PACELINE_CACHE` wins, then the system's own convention. Everything in the cache can be deleted: it is fetched or made again.
 */
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

export interface CliConfig {
  /** This checkout. */
  readonly root: string
  readonly cacheDir: string
  /** Folders searched for programs, in order. */
  readonly searchPath: readonly string[]
  /** What children inherit. */
  readonly environment: Readonly<Record<string, string>>
}

type Environment = Readonly<Record<string, string | undefined>>

export function readCliConfig(environment: Environment, platform: NodeJS.Platform): CliConfig {
  const inherited = Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return {
    root: dirname(import.meta.dirname),
    cacheDir: cacheDirOf(environment, platform),
    searchPath: (environment['PATH'] ?? '').split(':').filter((folder) => folder !== ''),
    environment: Object.fromEntries(inherited),
  }
}

export function cacheDirOf(environment: Environment, platform: NodeJS.Platform): string {
  const own = environment['PACELINE_CACHE'] ?? ''
  if (own !== '') return resolve(own)
  const xdg = environment['XDG_CACHE_HOME'] ?? ''
  if (xdg !== '') return join(resolve(xdg), 'paceline')
  return platform === 'darwin'
    ? join(homedir(), 'Library', 'Caches', 'paceline')
    : join(homedir(), '.cache', 'paceline')
}
