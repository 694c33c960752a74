import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { crashOnThrow } from './crashOnThrow.ts'

test('what returns normally stays unnoticed', () => {
  let ran = 0
  crashOnThrow(() => {
    ran += 1
  })
  expect(ran).toBe(1)
})

test('what throws ends the process although the caller catches everything', () => {
  const program = `
    import { crashOnThrow } from ${JSON.stringify(new URL('crashOnThrow.ts', import.meta.url).href)}
    try { crashOnThrow(() => { throw new Error('the bug') }) } catch {}
    setTimeout(() => process.exit(0), 1_000)`
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  expect(ended.status).not.toBe(0)
  expect(ended.stderr).toContain('the bug')
})
