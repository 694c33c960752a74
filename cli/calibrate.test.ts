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
  await expect(calibrate(['bigram'], context)).rejects.toThrow('calibrate: name one of trigram, not "bigram"')
  await expect(calibrate([], context)).rejects.toThrow(/name one of trigram/)
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
