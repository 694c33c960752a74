/**
 * Where `prometheus` and `promtool` come from: only tests use them (metrics, dashboards and alerts are checked and asked there), so
 * there is no build from source, and a test that finds none skips itself.
 */
import { execute, lastLine } from '../execute.ts'
import { debianPackage } from './debian.ts'
import type { Tool } from './tool.ts'

export const prometheus = ofPrometheus('prometheus')
export const promtool = ofPrometheus('promtool')

/** One of the programs of Debian's package. */
function ofPrometheus(name: string): Tool {
  return {
    name,
    folder: name,
    async check(path, context) {
      const ended = await execute(path, ['--version'], { timeoutMs: 10_000, signal: context.interrupts.first })
      const version = /version (\S+)/.exec(ended.output)?.[1]
      if (ended.code === 0 && version !== undefined) return { kind: 'good', version }
      return { kind: 'unfit', reason: `--version: ${lastLine(ended.output)}` }
    },
    sources: [debianPackage({ package: 'prometheus', program: `usr/bin/${name}` })],
    remedy: `install Prometheus and put ${name} on PATH`,
  }
}
