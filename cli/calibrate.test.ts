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
    'calibrate: name one of acceptance, trigram, not "bigram"',
  )
  await expect(calibrate([], context)).rejects.toThrow(/name one of acceptance, trigram/)
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
