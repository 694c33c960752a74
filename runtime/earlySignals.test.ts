import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('a program that is still loading ends on SIGTERM, even where nothing would end it by default', async () => {
  const early = join(import.meta.dirname, 'earlySignals.ts')
  const loading = 'process.stdout.write("loading"); setInterval(() => undefined, 1000)'
  const child = spawn(process.execPath, ['--import', early, '--eval', loading], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  await once(child, 'exit')
  // Its own answer, not the system's: that one is missing for the first process of a container.
  expect(child.exitCode).toBe(143)
})
