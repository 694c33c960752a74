/** Where measurements keep what they fetch: `PACELINE_CACHE_DIR`, else the user's cache folder. */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

export function cacheFolder(): string {
  const base =
    process.env['PACELINE_CACHE_DIR'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'paceline')
  const folder = join(base, 'bench')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** A new folder for the logs and state of one run. */
export const scratchFolder = (name: string): string => mkdtempSync(join(tmpdir(), `paceline-${name}-`))
