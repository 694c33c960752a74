import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { product } from '#test/tidy/tree.ts'

const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'troubleshooting.md'), 'utf8')
const found = product
  .filter(({ path }) => path.startsWith('operator/'))
  .flatMap(({ text }) => [...text.matchAll(/\bfinding\(\s*'(\w+)',\s*(?:[\w!.]+|'unknown'),\s*'(\w+)'/g)])
  .map((match) => ({ type: match[1] ?? '', reason: match[2] ?? '' }))
const degraded = product
  .filter(({ path }) => path.startsWith('operator/core/'))
  .flatMap(({ text }) => [...text.matchAll(/\bdegraded\(\s*'(\w+)'/g)])
  .map((match) => ({ type: 'Degraded', reason: match[1] ?? '' }))

/** A person who reads a condition looks here for its reason. */
test('troubleshooting has every reason of every condition', () => {
  expect(found.length).toBeGreaterThan(20)
  const section = (type: string) => page.split(`### ${type}\n`)[1]?.split(/^#{2,3} /m)[0] ?? ''
  const missing = [...found, ...degraded].filter(({ type, reason }) => !section(type).includes(`\`${reason}\``))
  expect(missing).toEqual([])
})
