import { expect, test } from 'vitest'
import { execute, lastLine } from './execute.ts'

const sh = (script: string, options = {}) => execute('/bin/sh', ['-c', script], options)

test('both streams are kept, and standard output alone', async () => {
  expect(await sh('echo out; echo err >&2; exit 3')).toMatchObject({ code: 3, stdout: 'out\n' })
  expect((await sh('echo out; echo err >&2')).output).toMatch(/out\n|err\n/)
})

test('a program that does not exist ends with a reason', async () => {
  expect(await execute('no-such-program', [], { timeoutMs: 60_000 })).toMatchObject({
    code: null,
    output: 'spawn no-such-program ENOENT',
  })
})

test('a program is ended by its limit, and by an interrupt that came first', async () => {
  expect((await sh('exec sleep 60', { timeoutMs: 20 })).code).toBeNull()
  expect((await sh('exec sleep 60', { signal: AbortSignal.abort() })).code).toBeNull()
})

test('output is kept bounded', async () => {
  const { stdout } = await sh(
    'i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo end',
  )
  expect(stdout.length).toBe(64 * 1024)
  expect(lastLine(stdout)).toBe('end')
})
