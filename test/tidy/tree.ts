/**
 * The files of this checkout as the tidy tests see them: text, code without comments and strings, imports.
 *
 * Read once per test run. Files that git ignores are not ours; files not committed yet are, because the check runs before
 * the commit.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { blank } from './blank.ts'

export const root = join(import.meta.dirname, '..', '..')

export interface Import {
  /** As written. */
  readonly specifier: string
  /** Path from the root where it names a file of ours, else null. */
  readonly path: string | null
  readonly isType: boolean
}

export interface SourceFile {
  readonly path: string
  readonly text: string
  /** `text` with the insides of comments, strings and regular expressions blanked; same length, same lines. */
  readonly code: string
  readonly imports: readonly Import[]
  readonly isTest: boolean
}

const skipped = new Set(['node_modules', '.git', 'coverage'])

export const textOf = (path: string) => readFileSync(join(root, path), 'utf8')
export const sizeOf = (path: string) => statSync(join(root, path)).size
export const exists = (path: string) => existsSync(join(root, path))

export const paths: readonly string[] = listPaths()
export const sources: readonly SourceFile[] = paths.filter((path) => /\.(ts|mjs)$/.test(path)).map(readSource)
/** What runs in production: neither tests nor their tools. */
export const product = sources.filter((file) => !file.isTest)

/** `path:line` of each match in the code (or the text) of a file, for messages that an editor can follow. */
export function places(file: SourceFile, pattern: RegExp, where: 'code' | 'text' = 'code'): string[] {
  return [...file[where].matchAll(new RegExp(pattern, 'g'))].map(
    (match) => `${file.path}:${file.text.slice(0, match.index).split('\n').length} ${match[0].trim()}`,
  )
}

function listPaths(): string[] {
  try {
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
    const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).split('\0')
    return listed.filter((path) => path !== '' && existsSync(join(root, path)))
  } catch {
    // Not a git checkout (an archive of the sources): everything that is not installed is ours.
    return walk('')
  }
}

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? walk(path) : [path]
  })
}

function readSource(path: string): SourceFile {
  const text = textOf(path)
  const code = blank(text)
  const isTest = /^test\/|\.(?:test|fixture)\.ts$|\/(?:testing|fixtures)\/|^vitest\.config\.ts$/.test(path)
  return { path, text, code, imports: importsOf(path, text, code), isTest }
}

function importsOf(path: string, text: string, code: string): Import[] {
  // Found in the code, so that an import inside a string does not count; read from the text, where its name still stands.
  const statement =
    /\b(?:import|export)\b(?<type> type\b)?[^;'"()]*?\bfrom\s*['"]|\bimport\s*\(\s*['"]|\bimport\s*['"]/g
  return [...code.matchAll(statement)].map((match) => {
    const start = match.index + match[0].length
    const specifier = /^[^'"]*/.exec(text.slice(start))?.[0] ?? ''
    return { specifier, path: resolved(path, specifier), isType: match.groups?.['type'] !== undefined }
  })
}

function resolved(from: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return specifier.slice(1)
  return specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : null
}
