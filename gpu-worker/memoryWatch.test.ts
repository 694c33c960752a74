import { expect, test, vi } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type Log, silentLog } from '#runtime/log.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import type { Memory, ReadMemory } from './memory.ts'
import { MemoryWatch } from './memoryWatch.ts'

const { memoryLookIntervalMs } = limits.worker
const little: Memory = { availableBytes: 1, boundBy: 'machine' }

function watching(read: ReadMemory, backend = 'cpu') {
  const clock = createFakeClock()
  const bytes: number[] = []
  const warn = vi.fn()
  const giveUp = vi.fn()
  const log: Log = { ...silentLog, warn }
  const watch = new MemoryWatch({
    clock: clock.process('worker'),
    log,
    read,
    meter: { memoryAvailable: (available) => void bytes.push(available) },
    speculator: { has: () => giveUp.mock.calls.length === 0, giveUp },
    info: { simulated: false, backend },
  })
  watch.start()
  return { clock, watch, bytes, warn, giveUp }
}

test('a draft in main memory is given up once, and memory is told as long as the worker lives', async () => {
  const { clock, watch, bytes, giveUp } = watching(() => Promise.resolve(little))
  await clock.advance(3 * memoryLookIntervalMs)
  expect(bytes).toEqual([1, 1, 1])
  expect(giveUp).toHaveBeenCalledOnce()
  expect(giveUp).toHaveBeenCalledWith('draft', expect.objectContaining({ reason: 'DraftMemory' }))
  watch.stop()
  await clock.advance(3 * memoryLookIntervalMs)
  expect(bytes).toHaveLength(3)
})

test('one on a GPU takes nothing from main memory and stays', async () => {
  const { clock, giveUp } = watching(() => Promise.resolve(little), 'cuda')
  await clock.advance(2 * memoryLookIntervalMs)
  expect(giveUp).not.toHaveBeenCalled()
})

test('what cannot be read is said, and looked at again', async () => {
  const read = vi.fn<ReadMemory>().mockRejectedValueOnce(new Error('it broke')).mockResolvedValueOnce(null)
  const { clock, warn, bytes } = watching(read.mockResolvedValue(little))
  await clock.advance(3 * memoryLookIntervalMs)
  expect(warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('cannot be read'))
  expect(bytes).toEqual([1])
})

test('there is one look at a time, and none counts that ends after the worker', async () => {
  const look = Promise.withResolvers<Memory>()
  const read = vi.fn(() => look.promise)
  const { clock, watch, giveUp } = watching(read)
  await clock.advance(3 * memoryLookIntervalMs)
  expect(read).toHaveBeenCalledOnce()
  watch.stop()
  look.resolve(little)
  await clock.advance(memoryLookIntervalMs)
  expect(giveUp).not.toHaveBeenCalled()
})
