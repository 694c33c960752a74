/**
 * Finding a program that is not ours: on PATH, in the project's cache, else made by the first source that can.
 *
 * Each source that fails leaves one line that says what was tried; all of them together are the error. What a source makes
 * appears in the cache by one rename, so that a broken attempt is never found by the next start.
 */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Context } from '../context.ts'

export interface Tool {
  readonly name: string
  /** Folder in the cache; the version in it makes an update a new folder. */
  readonly folder: string
  /** Tries the program; returns its version, or says why it will not do. */
  check(path: string, context: Context): Promise<{ kind: 'good'; version: string } | { kind: 'unfit'; reason: string }>
  readonly sources: readonly ToolSource[]
  /** What a person can do when every source failed. */
  readonly remedy: string
}

export interface ToolSource {
  /** As in "nats-server: trying <title>". */
  readonly title: string
  /** Puts the program somewhere below `folder` and returns its path, or says in one line why not. */
  make(folder: string, context: Context): Promise<{ kind: 'made'; path: string } | { kind: 'failed'; reason: string }>
}

export interface FoundTool {
  readonly path: string
  readonly version: string
}

/** Throws `Failure('tool-missing')` with every attempt in it. */
export async function findTool(tool: Tool, context: Context): Promise<FoundTool> {
  const present = presentCopies(tool, context)
  const tried = present.length === 0 ? ['PATH and the cache: not there'] : []
  for (const path of present) {
    const checked = await tool.check(path, context)
    if (checked.kind === 'good') return { path, version: checked.version }
    tried.push(`${path}: ${checked.reason}`)
  }
  for (const source of tool.sources) {
    context.terminal.progress(`${tool.name}: trying ${source.title}`)
    const made = await makeInCache(tool, source, context)
    if (made.kind === 'good') {
      context.terminal.line(`${tool.name} ${made.version}: got it from ${source.title}`)
      return { path: cachedPath(tool, context), version: made.version }
    }
    tried.push(`${source.title}: ${made.reason}`)
    context.interrupts.first.throwIfAborted()
  }
  const attempts = tried.map((line) => `\n  - ${line}`).join('')
  throw new Failure('tool-missing', `no usable ${tool.name}; ${tool.remedy}. Tried:${attempts}`)
}

const cachedPath = (tool: Tool, context: Context) => join(context.config.cacheDir, 'tools', tool.folder, tool.name)

function presentCopies(tool: Tool, context: Context): string[] {
  const onPath = context.config.searchPath.map((folder) => join(folder, tool.name)).find(isProgram)
  return [...(onPath === undefined ? [] : [onPath]), cachedPath(tool, context)].filter(isProgram)
}

/** A file that may be run; a folder may be "run" too, as far as its mode says. */
export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

async function makeInCache(tool: Tool, source: ToolSource, context: Context) {
  const target = cachedPath(tool, context)
  const folder = join(context.config.cacheDir, 'tools', `.making-${randomUUID()}`)
  mkdirSync(folder, { recursive: true })
  try {
    const made = await source.make(folder, context)
    if (made.kind === 'failed') return { kind: 'unfit' as const, reason: made.reason }
    if (!existsSync(made.path)) return { kind: 'unfit' as const, reason: `it ended well but left no ${made.path}` }
    const checked = await tool.check(made.path, context)
    if (checked.kind === 'unfit') return checked
    mkdirSync(dirname(target), { recursive: true })
    renameSync(made.path, target)
    return checked
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
