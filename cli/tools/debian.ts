/**
 * A program out of a Debian package, unpacked beside everything else: nothing is installed, no root is needed, except to
 * refresh package lists that are empty (fresh containers have none).
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { type Ending, execute, lastLine } from '../execute.ts'
import type { ToolSource } from './tool.ts'

const timeoutMs = 300_000

/** `program` is a path in the package. */
export function debianPackage(wanted: { package: string; program: string }): ToolSource {
  return {
    title: `the distribution's package ${wanted.package}`,
    async make(folder, context) {
      const downloaded = await download(wanted.package, folder, context)
      if (downloaded.code !== 0) return { kind: 'failed', reason: `apt-get download: ${lastLine(downloaded.output)}` }
      const archive = readdirSync(folder).find((name) => name.endsWith('.deb'))
      if (archive === undefined) return { kind: 'failed', reason: 'apt-get download left no package' }
      const unpacked = await execute('dpkg', ['-x', join(folder, archive), join(folder, 'unpacked')], { timeoutMs })
      if (unpacked.code !== 0) return { kind: 'failed', reason: `dpkg -x: ${lastLine(unpacked.output)}` }
      return { kind: 'made', path: join(folder, 'unpacked', wanted.program) }
    },
  }
}

async function download(name: string, folder: string, context: Context): Promise<Ending> {
  const options = { cwd: folder, timeoutMs, signal: context.interrupts.first }
  // As root apt would drop to a user that cannot write here, and warn about it.
  const args = ['-q', '-o', 'APT::Sandbox::User=root', 'download', name]
  const first = await execute('apt-get', args, options)
  if (first.code === 0 || process.getuid?.() !== 0) return first
  const refreshed = await execute('apt-get', ['-q', 'update'], options)
  return refreshed.code === 0 ? execute('apt-get', args, options) : first
}
