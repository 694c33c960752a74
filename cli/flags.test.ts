import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { parseChoice, parseFlags, parsePort } from './flags.ts'

const flags = { port: { type: 'string', default: '8080' }, supervised: { type: 'boolean', default: false } } as const

test('an unknown flag is answered with the known ones, internal ones excepted', () => {
  expect(() => parseFlags('up', ['--prot', '1'], flags)).toThrow(/up: Unknown option '--prot'.*known flags are --port$/)
  expect(() => parseFlags('check', ['x'], {})).toThrow(Failure)
})

test('a flag keeps its default when it is not given', () => {
  expect(parseFlags('up', [], flags).port).toBe('8080')
  expect(parseFlags('up', ['--port', '9'], flags).port).toBe('9')
})

test('a port is a whole number that a socket can have', () => {
  expect(parsePort('--port', '65535')).toBe(65_535)
  for (const text of ['0', '65536', '-1', '80.5', '0x50', 'http', ''])
    expect(() => parsePort('--port', text)).toThrow(/--port must be a port/)
})

test('a choice is one of those that exist', () => {
  expect(parseChoice('--log-level', 'warn', ['info', 'warn'])).toBe('warn')
  expect(() => parseChoice('--log-level', 'loud', ['info', 'warn'])).toThrow(
    '--log-level must be one of info, warn, not "loud"',
  )
})
