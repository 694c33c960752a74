import { expect, test } from 'vitest'
import { delay } from '#runtime/clock.ts'
import { createFakeClock } from './fakeClock.ts'
import { createRandom } from './random.ts'

test('timers run in order of due time, and of creation where that is equal', () => {
  const clock = createFakeClock()
  const ran: string[] = []
  clock.after(20, () => ran.push('late'))
  clock.after(10, () => ran.push('first'))
  clock.after(10, () => ran.push('second'))
  clock.advanceNow(10)
  expect(ran).toEqual(['first', 'second'])
  clock.advanceNow(10)
  expect(ran).toEqual(['first', 'second', 'late'])
  expect(clock.pending).toBe(0)
})

test('a cancelled timer never runs and an interval runs until it is cancelled', () => {
  const clock = createFakeClock()
  const ran: number[] = []
  clock.after(5, () => ran.push(-1)).cancel()
  const timer = clock.every(10, () => ran.push(clock.now()))
  clock.advanceNow(35)
  timer.cancel()
  clock.advanceNow(100)
  expect(ran).toEqual([1_010, 1_020, 1_030])
})

test('promise chains advance with the clock', async () => {
  const clock = createFakeClock()
  const ran: number[] = []
  const work = async () => {
    for (let i = 0; i < 3; i++) {
      await delay(clock, 10)
      ran.push(clock.now())
    }
  }
  const done = work()
  await clock.advance(25)
  expect(ran).toEqual([1_010, 1_020])
  expect(await clock.runUntil(() => ran.length === 3, 100)).toBe(true)
  expect(clock.now()).toBe(1_030)
  await done
})

test('a halted process runs nothing more and a frozen one catches up when it thaws', () => {
  const clock = createFakeClock()
  const ran: string[] = []
  const killed = clock.process('killed')
  const stopped = clock.process('stopped')
  killed.after(10, () => ran.push('killed'))
  stopped.after(10, () => ran.push('stopped'))
  killed.halt()
  stopped.freeze()
  clock.advanceNow(50)
  expect(ran).toEqual([])
  stopped.thaw()
  clock.advanceNow(0)
  expect(ran).toEqual(['stopped'])
  expect([killed.pending, stopped.pending]).toEqual([0, 0])
})

test('many timers come out sorted', () => {
  const clock = createFakeClock()
  const random = createRandom(1)
  const ran: number[] = []
  for (let i = 0; i < 2_000; i++) clock.after(random.int(0, 500), () => ran.push(clock.now()))
  clock.advanceNow(500)
  expect(ran).toEqual([...ran].sort((a, b) => a - b))
  expect(ran.length).toBe(2_000)
})

test('the same seed draws the same numbers and forks are independent of what was drawn before', () => {
  const [a, b] = [createRandom(7), createRandom(7)]
  b.next()
  expect(a.fork('x').next()).toBe(b.fork('x').next())
  expect(a.fork('x').next()).not.toBe(a.fork('y').next())
})
