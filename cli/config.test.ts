import { homedir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cacheDirOf, readCliConfig } from './config.ts'

test('the cache is where the user says, else where the system puts caches', () => {
  expect(cacheDirOf({ PACELINE_CACHE: '/a', XDG_CACHE_HOME: '/b' }, 'linux')).toBe('/a')
  expect(cacheDirOf({ PACELINE_CACHE: '', XDG_CACHE_HOME: '/b' }, 'linux')).toBe('/b/paceline')
  expect(cacheDirOf({}, 'linux')).toBe(join(homedir(), '.cache', 'paceline'))
  expect(cacheDirOf({}, 'darwin')).toBe(join(homedir(), 'Library', 'Caches', 'paceline'))
})

test('a relative cache folder does not move with the working folder of a child', () => {
  expect(cacheDirOf({ PACELINE_CACHE: 'here' }, 'linux')).toBe(join(process.cwd(), 'here'))
})

test('empty entries of PATH are dropped: they would mean the working folder', () => {
  expect(readCliConfig({ PATH: '/a::/b:' }, 'linux').searchPath).toEqual(['/a', '/b'])
})
