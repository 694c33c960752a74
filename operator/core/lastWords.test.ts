import { expect, test } from 'vitest'
import { describeEnd } from './lastWords.ts'

const end = { code: 1, signal: null, ageMs: 1_234, lines: [], spawnError: null }

test('the last error that was logged is quoted, not the shutdown lines after it', () => {
  const lines = [
    '{"level":"info","msg":"loading"}',
    '{"level":"error","msg":"model does not load","error":{"message":"bad magic"}}',
    '{"level":"info","msg":"closing"}',
  ]
  expect(describeEnd({ ...end, lines })).toBe(
    'exited with code 1 after 1.2 s; last words: model does not load: bad magic',
  )
})

test('a native crash has no JSON: its last line is quoted as it is', () => {
  const lines = ['{"level":"info","msg":"ok"}', 'GGML_ASSERT(n > 0) failed', '{"torn']
  expect(describeEnd({ ...end, code: null, signal: 'SIGABRT', lines })).toBe(
    'was ended by SIGABRT after 1.2 s; last words: {"torn',
  )
})

test('silence is not quoted, and a program that cannot be started says so', () => {
  expect(describeEnd(end)).toBe('exited with code 1 after 1.2 s')
  const routine = ['{"level":"info","msg":"engine ready"}', ' ']
  expect(describeEnd({ ...end, code: null, signal: 'SIGKILL', lines: routine })).toBe(
    'was ended by SIGKILL after 1.2 s',
  )
  expect(describeEnd({ ...end, spawnError: 'ENOENT' })).toBe('could not be started: ENOENT')
})
