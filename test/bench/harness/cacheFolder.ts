/** Where measurements keep what they fetch (the project's cache), and where one run keeps its logs and state. */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheDirOf } from '../../../cli/config.ts'

export function cacheFolder(): string {
  const folder = join(cacheDirOf(process.env, process.platform), 'bench')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** A new folder for the logs and state of one run. */
export const scratchFolder = (name: string): string => mkdtempSync(join(tmpdir(), `paceline-${name}-`))
