import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { paths, product, sizeOf, sources, textOf } from './tree.ts'

const linesMax = 400
const functionLinesMax = 70
const blobBytesMax = 256 * 1024

describe('files', () => {
  test(`have at most ${linesMax} lines: a longer one has two subjects`, () => {
    const long = sources.map((file) => `${file.path}: ${file.text.split('\n').length - 1}`)
    expect(long.filter((entry) => Number(entry.split(': ')[1]) > linesMax)).toEqual([])
  })

  test(`have functions of at most ${functionLinesMax} lines, which the linter counts`, () => {
    const Rules = z.object({ rules: z.record(z.string(), z.unknown()) })
    const { rules } = Rules.parse(JSON.parse(textOf('.oxlintrc.json')))
    expect(rules['eslint/max-lines-per-function']).toEqual(['error', { max: functionLinesMax }])
  })

  test('are named for what they hold', () => {
    // A file called helpers takes anything, and soon does.
    const vague = /(^|\/)(utils?|helpers?|common|managers?|misc|shared|stuff)(\.|\/|$)|(Utils?|Helpers?|Manager)\./
    expect(sources.filter((file) => vague.test(file.path)).map((file) => file.path)).toEqual([])
  })

  test('have camelCase names', () => {
    const isPlain = /^[a-z][a-zA-Z0-9]*(\.\w+)?(\.(test|fixture|config))?\.(ts|mjs)$/
    expect(sources.filter((file) => !isPlain.test(file.path.split('/').at(-1) ?? '')).map((file) => file.path)).toEqual(
      [],
    )
  })

  test('open with a comment that says what they own', () => {
    expect(product.filter((file) => !/^(#!.*\n)?\/\*\*/.test(file.text)).map((file) => file.path)).toEqual([])
  })

  test(`are source, not blobs: nothing over ${blobBytesMax / 1024} KiB but the lock file`, () => {
    const large = paths.filter((path) => path !== 'package-lock.json' && sizeOf(path) > blobBytesMax)
    expect(large).toEqual([])
  })
})
