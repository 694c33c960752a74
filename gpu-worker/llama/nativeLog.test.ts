import { expect, test } from 'vitest'
import { type Log, type LogFields, silentLog } from '#runtime/log.ts'
import { createNativeLog } from './nativeLog.ts'

const lineOf = (fields: LogFields) => (typeof fields['line'] === 'string' ? fields['line'] : undefined)

function recording() {
  const lines: string[] = []
  const waiting: (() => void)[] = []
  const log: Log = {
    ...silentLog,
    debug: (fields, message) => void lines.push(`debug ${lineOf(fields) ?? message}`),
    warn: (fields, message) => void lines.push(`warn ${lineOf(fields) ?? message}`),
  }
  const flush = () => {
    for (const action of waiting.splice(0)) action()
  }
  return { lines, flush, native: createNativeLog(log, (action) => void waiting.push(action)) }
}

test('the callback only appends; lines are written later, in order', () => {
  const { lines, flush, native } = recording()
  native.receive(2, 'loading\n')
  native.receive(3, 'odd file\n')
  expect(lines).toEqual([])
  flush()
  expect(lines).toEqual(['debug loading', 'warn odd file'])
})

test('a line that comes in pieces is one line', () => {
  const { lines, flush, native } = recording()
  native.receive(2, 'load')
  native.receive(5, 'ing ')
  native.receive(5, 'done\nnext\n')
  flush()
  expect(lines).toEqual(['debug loading done', 'debug next'])
})

test('errors are kept until somebody asks why', () => {
  const { native } = recording()
  for (let i = 0; i < 12; i++) native.receive(4, `error ${i}\n`)
  native.receive(3, 'a warning\n')
  expect(native.takeErrors()).toEqual(Array.from({ length: 8 }, (_, i) => `error ${i + 4}`))
  expect(native.takeErrors()).toEqual([])
})

test('a flood is bounded, and what was lost is counted', () => {
  const { lines, flush, native } = recording()
  for (let i = 0; i < 1_500; i++) native.receive(1, 'again\n')
  flush()
  expect(lines).toHaveLength(1_001)
  expect(lines.at(-1)).toBe('warn llama.cpp wrote more lines than were taken')
})
