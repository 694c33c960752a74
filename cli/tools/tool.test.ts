import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, afterEach, expect, test } from 'vitest'
import type { Context } from '../context.ts'
import { execute } from '../execute.ts'
import { contextIn } from '../testing/context.ts'
import { findTool, type Tool, type ToolSource } from './tool.ts'

let folder: string
let context: Context
let said: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'paceline-tool-'))
  ;({ context, said } = contextIn(folder))
})
afterEach(() => rmSync(folder, { recursive: true }))

function program(path: string, version: number): string {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, `#!/bin/sh\necho ${version}\n`)
  chmodSync(path, 0o755)
  return path
}

const failing: ToolSource = {
  title: 'a broken source',
  make: () => Promise.resolve({ kind: 'failed', reason: 'no network' }),
}
const giving = (version: number): ToolSource => ({
  title: `a source of ${version}`,
  make: (into) => Promise.resolve({ kind: 'made', path: program(join(into, 'made'), version) }),
})

const tool = (...sources: ToolSource[]): Tool => ({
  name: 'thing',
  folder: 'thing-2',
  remedy: 'install thing',
  sources,
  async check(path) {
    const { stdout } = await execute(path, [])
    return Number(stdout) >= 2
      ? { kind: 'good', version: stdout.trim() }
      : { kind: 'unfit', reason: `${stdout.trim()} is too old` }
  },
})

test('PATH comes first, then the cache, and nothing is fetched for either', async () => {
  const cached = program(join(folder, 'cache', 'tools', 'thing-2', 'thing'), 2)
  expect(await findTool(tool(failing), context)).toEqual({ path: cached, version: '2' })
  const own = program(join(folder, 'bin', 'thing'), 3)
  expect(await findTool(tool(failing), context)).toEqual({ path: own, version: '3' })
  expect(said).toEqual([])
})

test('the first source that gives a fit program wins, and what it made is found again', async () => {
  program(join(folder, 'bin', 'thing'), 1)
  const made = join(folder, 'cache', 'tools', 'thing-2', 'thing')
  expect(await findTool(tool(failing, giving(1), giving(2), giving(3)), context)).toEqual({ path: made, version: '2' })
  expect(said).toEqual(['thing 2: got it from a source of 2'])
  expect(await findTool(tool(), context)).toEqual({ path: made, version: '2' })
  expect(readdirSync(join(folder, 'cache', 'tools'))).toEqual(['thing-2'])
})

test('when nothing helps, every attempt is one line', async () => {
  const own = program(join(folder, 'bin', 'thing'), 1)
  await expect(findTool(tool(failing, giving(1)), context)).rejects.toThrow(
    [
      'no usable thing; install thing. Tried:',
      `  - ${own}: 1 is too old`,
      '  - a broken source: no network',
      '  - a source of 1: 1 is too old',
    ].join('\n'),
  )
  expect(existsSync(join(folder, 'cache', 'tools', 'thing-2'))).toBe(false)
})
