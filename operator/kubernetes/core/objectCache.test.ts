import { expect, test } from 'vitest'
import type { ApiObject } from './objects.ts'
import { ObjectCache } from './objectCache.ts'

const object = (name: string, version: number): ApiObject => ({
  metadata: { name, uid: name, resourceVersion: String(version) },
})

test('an answer to a write is taken while the watch is behind it, and dropped once the watch has passed it', () => {
  const cache = new ObjectCache<ApiObject>()
  cache.finishList([], '5')
  expect(cache.remember(object('a', 7))).toBe('a')
  expect(cache.take({ type: 'ADDED', object: object('a', 7) })).toBeNull()
  expect(cache.take({ type: 'DELETED', object: object('a', 9) })).toBe('a')
  expect(cache.remember(object('a', 8))).toBeNull()
  expect(cache.size).toBe(0)
})

test('an event from before an own write does not undo it', () => {
  const cache = new ObjectCache<ApiObject>()
  cache.finishList([object('a', 3)], '5')
  cache.remember(object('a', 9))
  expect(cache.take({ type: 'MODIFIED', object: object('a', 7) })).toBeNull()
  expect(cache.get('a')?.metadata?.resourceVersion).toBe('9')
})

test('a list that the server read before an own write keeps the write; one that it read after may have lost it', () => {
  const cache = new ObjectCache<ApiObject>()
  cache.finishList([], '5')
  cache.remember(object('before', 6))
  cache.beginList()
  cache.remember(object('during', 9))
  expect(cache.finishList([], '8')).toEqual(['before'])
  expect([...cache.names()]).toEqual(['during'])
})

test('versions are compared as numbers of any length', () => {
  const cache = new ObjectCache<ApiObject>()
  cache.finishList([object('a', 9)], '9')
  expect(cache.take({ type: 'MODIFIED', object: object('a', 10) })).toBe('a')
  expect(cache.seen).toBe('10')
  cache.take({ type: 'BOOKMARK', resourceVersion: '9' })
  expect(cache.seen).toBe('10')
})
