import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { asRoomFailure, assertRoom } from './disk.ts'

test('what does not fit is refused before it is fetched, with both sizes and what to do', async () => {
  await expect(assertRoom(tmpdir(), 0)).resolves.toBeUndefined()
  await expect(assertRoom(tmpdir(), 2 ** 60)).rejects.toThrow(
    /no room for the model in .*MiB needed .* MiB free; free some space/,
  )
})

test('a disk that fills up on the way is the same failure; anything else stays what it is', () => {
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' })
  expect(asRoomFailure(full, '/cache')).toBeInstanceOf(Failure)
  const other = new Error('read')
  expect(asRoomFailure(other, '/cache')).toBe(other)
})
