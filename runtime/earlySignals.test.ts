import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const early = join(import.meta.dirname, 'earlySignals.ts')
const start = (program: string) =>
  spawn(process.execPath, ['--import', early, '--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })

test('a program that is still loading ends on SIGTERM, even where nothing would end it by default', async () => {
  const child = start('process.stdout.write("loading"); setInterval(() => undefined, 1000)')
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  await once(child, 'exit')
  // Its own answer, not the system's: that one is missing for the first process of a container.
  expect(child.exitCode).toBe(143)
})

test('a signal that came while the program was busy loading is heard by whoever takes over', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-signals-'))
  const told = join(folder, 'told')
  const child = start(`
    import { existsSync } from 'node:fs'
    import { onShutdown } from '${join(import.meta.dirname, 'shutdown.ts')}'
    process.stdout.write('busy')
    while (!existsSync('${told}')) continue
    onShutdown({ info: () => undefined, warn: () => undefined, error: () => undefined }, async () => undefined)
    setInterval(() => undefined, 1000)
  `)
  try {
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    writeFileSync(told, '')
    await once(child, 'exit')
    expect([0, 143]).toContain(child.exitCode)
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
})
