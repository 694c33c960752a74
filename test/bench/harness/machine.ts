/** Where and with what a measurement was made: without it a figure means nothing. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'

export const projectFolder = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

const Package = z.object({ version: z.string(), dependencies: z.record(z.string(), z.string()).optional() })

export interface Machine {
  readonly cpu: string
  readonly processors: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly paceline: string
  readonly commit: string
  readonly at: string
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    processors: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch} ${release()}`,
    node: process.version,
    paceline: Package.parse(JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'))).version,
    commit: commit(),
    at: new Date().toISOString(),
  }
}

function commit(): string {
  try {
    const run = (...args: string[]) => execFileSync('git', args, { cwd: projectFolder, encoding: 'utf8' }).trim()
    return `${run('rev-parse', '--short', 'HEAD')}${run('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes'}`
  } catch {
    return 'unknown'
  }
}
