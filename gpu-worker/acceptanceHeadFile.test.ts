import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type LearnedAcceptance, loadAcceptanceHeads, saveAcceptanceHeads } from './acceptanceHeadFile.ts'
import { featureNames } from './core/speculation/stopping/acceptanceHead.ts'

const pair = { target: 'a'.repeat(64), draft: 'd'.repeat(64) }
const best = {
  weights: featureNames.map((_, i) => i / 10),
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
const learned: LearnedAcceptance = { pair, rejectionWeight: 6, heads: { best, drawn: null } }
let path = ''

beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'acceptance-')), 'pair.acceptance')
})

test('what was saved is loaded, and nothing else is left in the folder', async () => {
  const text = await saveAcceptanceHeads(path, learned)
  expect(await readFile(path, 'utf8')).toBe(text)
  // What rejections weighed more in training is taken back.
  const weights = [Math.log(6), ...best.weights.slice(1)]
  expect(await loadAcceptanceHeads(path, pair)).toEqual({ best: { weights }, drawn: null })
  expect(await readdir(join(path, '..'))).toEqual(['pair.acceptance'])
})

test('a head of another pair is refused, and says whose it is', async () => {
  await saveAcceptanceHeads(path, learned)
  const refused = (other: Partial<Record<'target' | 'draft', string | null>>, message: RegExp) =>
    expect(loadAcceptanceHeads(path, { ...pair, ...other })).rejects.toThrow(message)
  await refused(
    { target: 'b'.repeat(64) },
    /of the target aaaaaaaaaaaa….*this pair has bbbbbbbbbbbb….*calibrate acceptance/s,
  )
  await refused({ draft: 'e'.repeat(64) }, /of the draft dddddddddddd…/)
  await refused({ draft: null }, /none that is known/)
})

test('a file that is missing, damaged, too large or of another version is refused by its name', async () => {
  const refused = (reason: RegExp) => expect(loadAcceptanceHeads(path, pair)).rejects.toThrow(reason)
  await refused(/pair\.acceptance.*ENOENT/s)
  await writeFile(path, 'not JSON')
  await refused(/not JSON/)
  const file = JSON.parse(await saveAcceptanceHeads(path, learned)) as Record<string, unknown>
  const rewritten = (change: object) => writeFile(path, JSON.stringify({ ...file, ...change }))
  await rewritten({ version: 2 })
  await refused(/version/)
  await rewritten({ heads: { best: { ...best, weights: [1, null] }, drawn: null } })
  await refused(/heads\.best\.weights/)
  await rewritten({ heads: { best: null, drawn: { ...best, weights: [1] } } })
  await refused(/1 weights for/)
  await rewritten({ features: [...featureNames].reverse() })
  await refused(/this version at/)
  await rewritten({ more: 'x'.repeat(limits.speculation.acceptanceHeadBytesMax) })
  await refused(/bytes of at most/)
})
