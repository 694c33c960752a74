import { expect, test } from 'vitest'
import { Lifetime } from './hold.ts'

function subject() {
  let freed = 0
  const lifetime = new Lifetime(() => void freed++)
  return { lifetime, freed: () => freed }
}

test('what nobody holds is freed at once, and only once', () => {
  const { lifetime, freed } = subject()
  lifetime[Symbol.dispose]()
  lifetime[Symbol.dispose]()
  expect(freed()).toBe(1)
})

test('what is held is freed with the last hold', () => {
  const { lifetime, freed } = subject()
  const [first, second] = [lifetime.hold(), lifetime.hold()]
  first.release()
  first.release()
  lifetime[Symbol.dispose]()
  expect(freed()).toBe(0)
  second.release()
  expect(freed()).toBe(1)
})

test('releasing every hold does not free what is still in use by its owner', () => {
  const { lifetime, freed } = subject()
  lifetime.hold().release()
  expect(freed()).toBe(0)
  expect(lifetime.isOver).toBe(false)
})

test('nothing new can hold what is disposed', () => {
  const { lifetime } = subject()
  lifetime[Symbol.dispose]()
  expect(() => lifetime.hold()).toThrow(/disposed/)
})
