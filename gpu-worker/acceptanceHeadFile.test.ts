import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type LearnedAcceptance, loadAcceptanceHead, saveAcceptanceHead } from './acceptanceHeadFile.ts'
import { featureNames } from './core/speculation/stopping/acceptanceHead.ts'

const pair = { target: 'a'.repeat(64), draft: 'd'.repeat(64) }
const learned: LearnedAcceptance = {
  pair,
  weights: featureNames.map((_, i) => i / 10),
  rejectionWeight: 6,
  heldOut: {
    requests: 2,
    examples: 40,
    loss: 0.3,
    lossOfConstant: 0.6,
    error: 0.01,
    errorOfDraft: 0.1,
    calibration: [{ from: 0, to: 0.1, examples: 40, predicted: 0.05, cameTrue: 0.06 }],
  },
  trained: { requests: 8, examples: 160 },
}
let path = ''

beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'acceptance-')), 'pair.acceptance')
})

test('what was saved is loaded, and nothing else is left in the folder', async () => {
  const text = await saveAcceptanceHead(path, learned)
  expect(await readFile(path, 'utf8')).toBe(text)
  expect(await loadAcceptanceHead(path, pair)).toEqual({ head: { weights: learned.weights }, rejectionWeight: 6 })
  expect(await readdir(join(path, '..'))).toEqual(['pair.acceptance'])
})

test('a head of another pair is refused, and says whose it is', async () => {
  await saveAcceptanceHead(path, learned)
  const refused = (other: Partial<Record<'target' | 'draft', string | null>>, message: RegExp) =>
    expect(loadAcceptanceHead(path, { ...pair, ...other })).rejects.toThrow(message)
  await refused(
    { target: 'b'.repeat(64) },
    /of the target aaaaaaaaaaaa….*this pair has bbbbbbbbbbbb….*calibrate acceptance/s,
  )
  await refused({ draft: 'e'.repeat(64) }, /of the draft dddddddddddd…/)
  await refused({ draft: null }, /none that is known/)
})

test('a file that is missing, damaged, too large or of another version is refused by its name', async () => {
  const refused = (reason: RegExp) => expect(loadAcceptanceHead(path, pair)).rejects.toThrow(reason)
  await refused(/pair\.acceptance.*ENOENT/s)
  await writeFile(path, 'not JSON')
  await refused(/not JSON/)
  const file = JSON.parse(await saveAcceptanceHead(path, learned)) as Record<string, unknown>
  const rewritten = (change: object) => writeFile(path, JSON.stringify({ ...file, ...change }))
  await rewritten({ version: 2 })
  await refused(/version/)
  await rewritten({ weights: [1, null] })
  await refused(/weights/)
  await rewritten({ weights: [1] })
  await refused(/this version looks at/)
  await rewritten({ features: [...featureNames].reverse() })
  await refused(/this version looks at/)
  await rewritten({ more: 'x'.repeat(limits.speculation.acceptanceHeadBytesMax) })
  await refused(/bytes of at most/)
})
