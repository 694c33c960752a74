import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { draftMemoryFault, memoryPressure } from './draftMemory.ts'
import type { Memory } from './memory.ts'

const mib = 2 ** 20
const left = (mebibytes: number): Memory => ({ availableBytes: mebibytes * mib, boundBy: 'control group' })
const { draftMemorySpareBytes, draftMemoryFreeBytesMin } = limits.speculation
const spare = draftMemorySpareBytes / mib
const needs = { weightsBytes: 100 * mib, contextBytes: 50 * mib }

test('a draft needs room for its weights, its context and something to spare', () => {
  expect(draftMemoryFault(left(150 + spare), needs)).toBeNull()
  expect(draftMemoryFault(left(150 + spare - 7), needs)).toMatch(
    /^7 MiB of memory are missing.*weights are 100 MiB, its context 50 MiB.*Raise/,
  )
})

test('before its file is open, the weights alone are counted', () => {
  expect(draftMemoryFault(left(100 + spare), { ...needs, contextBytes: null })).toBeNull()
  expect(draftMemoryFault(left(99 + spare), { ...needs, contextBytes: null })).toMatch(
    /^1 MiB.*weights are 100 MiB, \d+ MiB stay free/,
  )
})

test('one that is open goes when little is left, and says how it comes back', () => {
  expect(memoryPressure(left(draftMemoryFreeBytesMin / mib))).toBeNull()
  expect(memoryPressure(left(draftMemoryFreeBytesMin / mib - 1))).toMatch(/MiB are left of the control group.*restart/)
})

test('what is not known closes nothing', () => {
  expect(draftMemoryFault(null, needs)).toBeNull()
  expect(memoryPressure(null)).toBeNull()
})

test('a draft that was just opened is not closed for the room it took itself', () => {
  expect(draftMemoryFreeBytesMin).toBeLessThan(draftMemorySpareBytes)
})
