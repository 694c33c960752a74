/** The machine as a verb under test sees it: nothing on PATH but what the test puts there, and every line kept. */
import { join } from 'node:path'
import { systemClock } from '#runtime/clock.ts'
import type { Context } from '../context.ts'

/** `said`: what was printed, progress left out. */
export function contextIn(root: string, searchPath: readonly string[] = [join(root, 'bin')]) {
  const said: string[] = []
  const say = (text: string) => void said.push(text)
  const never = new AbortController().signal
  const context: Context = {
    config: { root, cacheDir: join(root, 'cache'), searchPath, environment: {} },
    clock: systemClock,
    terminal: { line: say, progress: () => undefined, error: say },
    interrupts: { first: never, second: never, outliveStarter: () => undefined },
    random: () => 0,
  }
  return { context, said }
}
