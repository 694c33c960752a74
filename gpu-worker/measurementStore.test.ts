import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '#runtime/log.ts'
import { createMeasurementStore } from './measurementStore.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'measurements-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('what was written is read under its own kind and key only', async () => {
  const store = createMeasurementStore({ folder: join(folder, 'new'), log: silentLog })
  await store.write('curve', 'key', { a: 1 })
  expect(await store.read('curve', 'key')).toEqual({ a: 1 })
  expect(await store.read('proof', 'key')).toBeNull()
  expect(await store.read('curve', 'other')).toBeNull()
})

test('a damaged file is as if nothing had been measured', async () => {
  const store = createMeasurementStore({ folder, log: silentLog })
  await store.write('curve', 'key', {})
  for (const name of await readdir(folder)) await writeFile(join(folder, name), '{"a":')
  expect(await store.read('curve', 'key')).toBeNull()
})

test('a folder that cannot be written changes nothing else', async () => {
  await writeFile(join(folder, 'file'), '')
  const store = createMeasurementStore({ folder: join(folder, 'file', 'below'), log: silentLog })
  await store.write('curve', 'key', {})
  expect(await store.read('curve', 'key')).toBeNull()
})
