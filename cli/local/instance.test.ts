import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, afterEach, expect, test } from 'vitest'
import { identify } from './identity.ts'
import {
  claimInstance,
  type InstancePaths,
  type InstanceRecord,
  instancePaths,
  livingInstances,
  readInstance,
  releaseInstance,
} from './instance.ts'

const dead = { pid: 4_000_000, started: '1' }
let cacheDir: string
let paths: InstancePaths
const context = () => ({ config: { cacheDir, root: '', searchPath: [], environment: {} } })

const record = (owner: InstanceRecord['owner']): InstanceRecord => ({
  version: '1',
  owner,
  phase: 'starting',
  detached: false,
  url: 'http://127.0.0.1:9',
  operatorUrl: '',
  natsUrl: '',
  natsMonitorUrl: '',
  resources: '',
  processes: { nats: null, natsGuard: null, operator: null, router: null },
  workers: [],
})

beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'paceline-instance-'))
  paths = instancePaths(context(), 9)
})
afterEach(() => rmSync(cacheDir, { recursive: true }))

test('one port has one instance, and only its owner can read what is in it', () => {
  const living = identify(process.pid)
  if (living === null) throw new Error('this process is not in the process table')
  claimInstance(paths, record(living))
  expect(() => claimInstance(paths, record(living))).toThrow(/already runs at http:\/\/127\.0\.0\.1:9.*npm stop/)
  expect(livingInstances(context())).toEqual([9])
  expect(statSync(paths.record).mode & 0o077).toBe(0)
  expect(statSync(paths.folder).mode & 0o077).toBe(0)
  releaseInstance(paths)
  expect(readInstance(paths)).toBeNull()
})

test('a dead instance, or a record that nobody can read, does not stand in the way', () => {
  claimInstance(paths, record(dead))
  expect(livingInstances(context())).toEqual([])
  claimInstance(paths, record(dead))
  writeFileSync(paths.record, '{"half":')
  claimInstance(paths, record(dead))
  expect(readInstance(paths)).toEqual(record(dead))
})
