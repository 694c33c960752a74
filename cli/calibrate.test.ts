import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { calibrate } from './calibrate.ts'
import type { Context } from './context.ts'

const never = new AbortController().signal
const context: Context = {
  config: { root: '.', cacheDir: 'nowhere', searchPath: [], environment: {} },
  clock: systemClock,
  random: () => 0,
  terminal: { line() {}, progress() {}, error() {} },
  interrupts: { first: never, second: never, outliveStarter() {} },
}

test('what can be calibrated is said to whoever names something else', async () => {
  await expect(calibrate(['bigram'], context)).rejects.toThrow(
    /calibrate: name one of acceptance, .*risk, trigram, not "bigram"/,
  )
  await expect(calibrate([], context)).rejects.toThrow(/name one of acceptance, /)
})

test('a table needs a file to be written to, and numbers that can be meant', async () => {
  await expect(calibrate(['trigram'], context)).rejects.toThrow(/name the file to write with --out/)
  const refused = (flag: string, value: string) =>
    expect(calibrate(['trigram', '--model', 'm.gguf', '--out', 't', flag, value], context)).rejects.toThrow(
      `${flag} must be a`,
    )
  await refused('--streams', '0')
  await refused('--answer-tokens', '1.5')
  await refused('--threads', 'all')
})

test('acceptance is learned of a pair, from numbers that can be meant', async () => {
  const refused = (args: readonly string[], message: string | RegExp) =>
    expect(calibrate(['acceptance', ...args], context)).rejects.toThrow(message)
  await refused([], /name the file to write with --out/)
  await refused(['--out', 'a', '--model', 'm.gguf'], 'name both --model and --draft, or neither')
  await refused(['--out', 'a', '--model', 'none.gguf', '--draft', 'd.gguf'], /none\.gguf cannot be read/)
  await refused(['--out', 'a', '--requests', '1'], '--requests must be a whole number from 2')
  await refused(['--out', 'a', '--rejection-weight', '0.5'], '--rejection-weight must be a number from 1 to 100')
})

test('a gate is learned from labelled prompts, and a line that is none is named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gate-'))
  const refused = async (lines: string, message: string, args: readonly string[] = []) => {
    await writeFile(join(folder, 'prompts.jsonl'), lines)
    const named = ['--out', join(folder, 'g'), '--model', 'none.gguf', '--prompts', join(folder, 'prompts.jsonl')]
    await expect(calibrate(['gate', ...named, ...args], context)).rejects.toThrow(message)
  }
  await expect(calibrate(['gate'], context)).rejects.toThrow(/name the file to write with --out/)
  await expect(calibrate(['gate', '--out', 'g'], context)).rejects.toThrow(/name the labelled prompts with --prompts/)
  const good = '{"prompt": "SELECT", "expert": "sql"}\n'
  await refused('{', 'prompts.jsonl:1 is not JSON')
  await refused(`${good}\n{"prompt": "x"}`, 'prompts.jsonl:3 is no labelled prompt (expert: ')
  await refused('{"expert": "sql"}', 'a line has either a prompt or messages')
  await refused('{"prompt": "x", "expert": "S Q L"}', 'named like a Kubernetes object')
  await refused(good, '1 labelled prompts teach nothing')
  await refused(good, '--buckets-log2 must be a whole number from 6 to 20', ['--buckets-log2', '21'])
  const many = Array.from({ length: 65 }, (_, i) => `{"prompt": "x", "expert": "e${i}"}`).join('\n')
  await refused(many, 'the prompts name 65 experts')
  await refused(good + good, 'none.gguf')
})
