import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { exists, paths, textOf } from './tree.ts'

const documents = paths.filter((path) => path.endsWith('.md')).map((path) => ({ path, text: textOf(path) }))
const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(textOf('package.json')))
/** npm's own commands, which need no entry in package.json. */
const ofNpm = ['ci', 'install', 'view', 'config', 'pack', 'exec', 'init']

describe('documents', () => {
  test('link only to what is there', () => {
    const dead = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)[^)]*\)/g)]
        .map((match) => normalize(join(dirname(path), match[1] ?? '')))
        .filter((target) => !exists(target))
        .map((target) => `${path} → ${target}`),
    )
    expect(dead).toEqual([])
  })

  test('name only npm scripts that exist', () => {
    const dead = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm (?:run )?([a-z][\w:-]*)/g)]
        .map((match) => match[1] ?? '')
        .filter((name) => isCommand(text, name) && !(name in scripts) && !ofNpm.includes(name))
        .map((name) => `${path}: npm ${name}`),
    )
    expect(dead).toEqual([])
  })

  test('of decisions are numbered without gaps, listed, and say what was refused', () => {
    const records = paths.filter((path) => /^docs\/decisions\/\d/.test(path)).toSorted()
    const list = exists('docs/decisions/README.md') ? textOf('docs/decisions/README.md') : ''
    const names = records.map((path) => path.slice('docs/decisions/'.length))
    expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, index) => index + 1))
    expect(names.filter((name) => !list.includes(`(${name})`))).toEqual([])
    expect(
      records.filter((path) => !/\*\*Example\.\*\*[\s\S]*\*\*Choice\.\*\*[\s\S]*\*\*Refused\.\*\*/.test(textOf(path))),
    ).toEqual([])
  })

  test('of the reference are generated: each one says from what', () => {
    const pages = paths.filter((path) => path.startsWith('docs/reference/') && path.endsWith('.md'))
    expect(pages.filter((path) => !textOf(path).includes('<!-- Generated from '))).toEqual([])
  })
})

/** In running text "npm packages" is no command; between backticks or at the start of a line it is. */
function isCommand(text: string, name: string): boolean {
  return new RegExp(`(?:\`|^ {4}|^)npm (?:run )?${name}\\b`, 'm').test(text)
}
