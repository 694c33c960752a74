import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { identify, isAlive, signalProcess } from './identity.ts'

test('a process is known by its pid and its start', () => {
  const own = identify(process.pid)
  expect(own).not.toBeNull()
  if (own === null) return
  expect(isAlive(own)).toBe(true)
  expect(isAlive({ ...own, started: '1' })).toBe(false)
})

test('a pid that was given to another process is never signalled', async () => {
  const child = spawn('sleep', ['60'])
  await once(child, 'spawn')
  signalProcess({ pid: child.pid ?? 0, started: 'another time' }, 'SIGKILL')
  const now = identify(child.pid ?? 0)
  expect(now).not.toBeNull()
  const gone = once(child, 'exit')
  if (now !== null) signalProcess(now, 'SIGKILL')
  await gone
  expect(identify(child.pid ?? 0)).toBeNull()
})
