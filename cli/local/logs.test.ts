import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { cutLog, lastWords, summarise } from './logs.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'paceline-logs-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

test('the last words of our own programs are their last error and its cause', () => {
  const lines = [
    '{"level":"error","msg":"first"}',
    '{"level":"error","error":{"message":"listen EADDRINUSE"},"msg":"the router cannot start"}',
    '{"level":"info","msg":"draining"}',
    '',
  ]
  expect(summarise(lines)).toBe('the router cannot start: listen EADDRINUSE')
})

test('the last words of nats-server and of Node are understood too', () => {
  expect(summarise(['[12] 2026/01/01 00:00:00.000 [FTL] no space left'])).toBe('no space left')
  expect(summarise(['nats-server: unknown option'])).toBe('nats-server: unknown option')
  expect(summarise(['    at x (y.ts:1:2)', "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'"])).toContain(
    'Cannot find',
  )
})

test('a part that said nothing has no last words', () => {
  expect(summarise(['{"level":"info","msg":"fine"}', '{broken'])).toBeNull()
  expect(lastWords('/nowhere')).toBeNull()
})

test('a log over its bound is cut under its writer, and what it held is kept once', () => {
  const path = join(folder(), 'a.log')
  writeFileSync(path, 'x'.repeat(100))
  cutLog(path, 100)
  expect(readFileSync(path, 'utf8')).toHaveLength(100)
  cutLog(path, 99)
  expect(readFileSync(path, 'utf8')).toBe('')
  expect(readFileSync(`${path}.1`, 'utf8')).toHaveLength(100)
})
