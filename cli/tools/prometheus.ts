/**
 * Where `prometheus` comes from: only tests use it (dashboards and alerts are asked there), so there is no build from source, and
 * a test that finds none skips itself.
 */
import { execute, lastLine } from '../execute.ts'
import { debianPackage } from './debian.ts'
import type { Tool } from './tool.ts'

export const prometheus: Tool = {
  name: 'prometheus',
  folder: 'prometheus',
  async check(path, context) {
    const ended = await execute(path, ['--version'], { timeoutMs: 10_000, signal: context.interrupts.first })
    const version = /version (\S+)/.exec(ended.output)?.[1]
    if (ended.code === 0 && version !== undefined) return { kind: 'good', version }
    return { kind: 'unfit', reason: `--version: ${lastLine(ended.output)}` }
  },
  sources: [debianPackage({ package: 'prometheus', program: 'usr/bin/prometheus' })],
  remedy: 'install Prometheus and put it on PATH',
}
