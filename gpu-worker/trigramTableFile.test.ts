import { mkdtemp, readdir, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { TrigramCounter } from './core/speculation/proposers/trigramCounter.ts'
import { loadTrigramTable, saveTrigramTable, tokenizerDigest } from './trigramTableFile.ts'

const tokenizer = '5a'.repeat(32)
let folder = ''
let path = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trigrams-'))
  path = join(folder, 'small.trigrams')
})

test('what was saved is loaded, and nothing else is left in the folder', async () => {
  await saveTrigramTable(path, built())
  expect(await loadTrigramTable(path, { tokenizer })).toMatchObject({
    tokenizer,
    bigrams: 2,
    entries: 2,
    tokensSeen: 4,
  })
  expect(await readdir(folder)).toEqual(['small.trigrams'])
})

test('a file that is missing, cut, foreign or for another tokenizer is refused by its name, with what to do', async () => {
  const refused = (expected: { tokenizer?: string } = {}) =>
    expect(loadTrigramTable(path, expected)).rejects.toThrow(/small\.trigrams.*paceline calibrate trigram/s)
  await refused()
  await writeFile(path, 'not a table')
  await refused()
  await saveTrigramTable(path, built())
  await refused({ tokenizer: '00'.repeat(32) })
  await truncate(path, 150)
  await refused()
})

test('a tokenizer’s digest changes with any of its tokens, their order and their number', () => {
  const digest = (texts: readonly string[]) => tokenizerDigest(vocabulary(texts))
  const digests = [
    ['a', 'b'],
    ['b', 'a'],
    ['ab', ''],
    ['a', 'b', 'c'],
    ['a', 'c'],
  ].map(digest)
  expect(new Set(digests).size).toBe(digests.length)
  expect(digest(['a', 'b'])).toBe(digests[0])
})

function built(): ArrayBuffer {
  const counter = new TrigramCounter({ vocabularySize: 16, tokenizer, sightingsMin: 1 })
  counter.add([1, 2, 3, 4])
  return counter.build()
}

function vocabulary(texts: readonly string[]): Parameters<typeof tokenizerDigest>[0] {
  return { info: { vocabularySize: texts.length }, specialText: (token) => texts[token] ?? '' }
}
