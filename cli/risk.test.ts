import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { seeded } from '#algorithms/seeded.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import { CalibrationMap } from '#contracts/resources/calibrationMap.ts'
import { RiskCalibration, riskSignals } from '#contracts/riskCalibration.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import { systemClock } from '#runtime/clock.ts'
import { calibrate } from './calibrate.ts'
import type { Context } from './context.ts'
import { traffic } from './traffic.ts'

const never = new AbortController().signal
let folder = ''
let said: string[] = []
const context = (): Context => ({
  config: { root: '.', cacheDir: folder, searchPath: [], environment: {} },
  clock: systemClock,
  random: () => 0,
  terminal: { line: (text) => void said.push(text), progress() {}, error() {} },
  interrupts: { first: never, second: never, outliveStarter() {} },
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-risk-'))
  said = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const digest = 'ab'.repeat(32)
function exampleOf(i: number, random: () => number, isWrong: boolean): RiskExample {
  return {
    kind: 'RiskExample',
    version: 1,
    route: 'assistant',
    request: `r${i}`,
    model: digest,
    embeddingModel: digest,
    labels: ['right', 'wrong'],
    ownLabel: 0,
    votes: { rule: random() < 0.9 ? Number(isWrong) : null, own: 0 },
    signals: Object.fromEntries(riskSignals.map((name) => [name, null])) as RiskExample['signals'],
    embedding: packedNumbers([isWrong ? 1 : -1, random()]),
    risk: null,
    cause: 'uncalibrated',
    isGiven: false,
  }
}

/** A file of examples and one of labels for a part of them. */
async function keep(count: number): Promise<void> {
  const random = seeded(1)
  const wrong = Array.from({ length: count }, () => random() < 0.3)
  const lines = wrong.map((isWrong, i) => JSON.stringify(exampleOf(i, random, isWrong)))
  // A router may be writing its last line.
  await writeFile(join(folder, 'assistant.jsonl'), `${lines.join('\n')}\n{"kind": "Ris`)
  const labels = wrong
    .slice(0, count / 2)
    .map((isWrong, i) => JSON.stringify({ request: `r${i}`, correct: !isWrong, answer: 'first' }))
  await writeFile(join(folder, 'labels.txt'), labels.join('\n'))
}
const out = () => join(folder, 'map.yaml')
const named = () => ['--traffic', folder, '--name', 'assistant-risk', '--out', out()]

describe('calibrate risk', () => {
  test('writes the ConfigMap that a route names, with what it was found to be worth', async () => {
    await keep(200)
    expect(await calibrate(['risk', ...named(), '--labels', join(folder, 'labels.txt'), '--compare'], context())).toBe(
      0,
    )
    const map = CalibrationMap.parse(parse(await readFile(out(), 'utf8')))
    expect(map.metadata).toMatchObject({ name: 'assistant-risk', labels: { 'paceline.dev/kind': 'calibration' } })
    const document = RiskCalibration.parse(JSON.parse(map.data['risk.json'] ?? ''))
    expect(document).toMatchObject({
      model: digest,
      embedding: { model: digest, width: 2 },
      sources: ['own', 'rule'],
      scalariser: 'quadratic',
      trained: { examples: 100 },
      measured: { labelled: 100 },
    })
    expect(said.join('\n')).toMatch(/rule +\d+ +9\d\.\d% +2\d\.\d%|rule +\d+ +\d+\.\d% +\d+\.\d%/)
    expect(said.join('\n')).toMatch(/learned from 100 examples .* on 100 labelled ones/)
    expect(said.join('\n')).toMatch(/chebyshev +0\.\d{4}/)
  })

  test('passes over labels of what the client got where that was another answer, and says of how many', async () => {
    await keep(200)
    const path = join(folder, 'labels.txt')
    await writeFile(path, (await readFile(path, 'utf8')).replace(/("request":"r\d",.*),"answer":"first"/g, '$1'))
    await calibrate(['risk', ...named(), '--labels', path], context())
    expect(said.join('\n')).toMatch(/10 of 100 labels are of requests whose first answer was not given: passed over/)
    expect(said.join('\n')).toContain('on 90 labelled ones')
  })

  test('makes the same of the same, whatever the machine', async () => {
    await keep(100)
    await calibrate(['risk', ...named()], context())
    const first = await readFile(out(), 'utf8')
    await calibrate(['risk', ...named()], context())
    expect(await readFile(out(), 'utf8')).toBe(first)
    expect(said.join('\n')).toContain('what it is worth is not known')
  })

  test('says what is missing or cannot be meant', async () => {
    const refused = (args: readonly string[], message: string | RegExp) =>
      expect(calibrate(['risk', ...args], context())).rejects.toThrow(message)
    await refused([], 'name what was kept with --traffic')
    await refused(['--traffic', folder], 'name the ConfigMap with --name')
    await refused(['--traffic', join(folder, 'none'), '--name', 'a', '--out', out()], /none cannot be read/)
    await refused(named(), '0 examples that go together teach nothing')
    await refused([...named(), '--scalariser', 'cubic'], '--scalariser must be one of linear, quadratic')
    await refused([...named(), '--weight', 'rule'], '--weight must be a number')
    await writeFile(join(folder, 'assistant.jsonl'), '{"kind": "RiskExample"}\n')
    await refused(named(), /assistant\.jsonl:1: version/)
    await writeFile(join(folder, 'assistant.jsonl'), 'half a line\n{}\n')
    await refused(named(), /assistant\.jsonl:1 is not JSON/)
    await keep(60)
    await refused([...named(), '--hidden', '1024', '--weight', 'rule=2', '--route', 'none'], '0 examples')
    await refused([...named(), '--weight', 'rul=2'], '--weight rul: no such source; there are own, rule')
    const nothing = ['--weight', 'rule=0', '--weight', 'own=0']
    await refused([...named(), ...nothing], '--weight leaves every source at 0')
  })
})

describe('traffic', () => {
  const kept = () => join(folder, 'run', '8080', 'traffic')
  const line = '{"kind":"RiskExample",}\n'
  const write = async () => {
    await mkdir(kept(), { recursive: true })
    for (const name of ['a.jsonl', 'a.1.jsonl', 'b.jsonl']) await writeFile(join(kept(), name), `${line}${line}`)
  }

  test('says what is kept of each route, and nothing of what it says', async () => {
    expect(await traffic([], context())).toBe(0)
    expect(said.join()).toContain('nothing is kept')
    await write()
    await traffic(['--route', 'a'], context())
    expect(said.filter((line) => /^a +2 +48 /.test(line))).toHaveLength(2)
  })

  test('is purged, of one route or of all', async () => {
    await write()
    await traffic(['purge', '--route', 'a'], context())
    expect(existsSync(join(kept(), 'a.1.jsonl'))).toBe(false)
    expect(existsSync(join(kept(), 'b.jsonl'))).toBe(true)
    await traffic(['purge'], context())
    expect(existsSync(join(kept(), 'b.jsonl'))).toBe(false)
    await write()
    const others = { 'labels.jsonl': '{"request": "r"}\n', 'notes.old.jsonl': line }
    for (const [name, text] of Object.entries(others)) await writeFile(join(kept(), name), text)
    await traffic(['purge', '--folder', kept()], context())
    expect(await readdir(kept())).toEqual(Object.keys(others))
    expect(said.filter((each) => each.endsWith('was not written by a router: left alone'))).toHaveLength(2)
    await expect(traffic(['burn'], context())).rejects.toThrow('traffic: purge, or nothing to look')
  })
})
