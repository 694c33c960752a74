import { expect, test } from 'vitest'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { createQueue, type Requeue } from './queue.ts'

/** A queue whose runs are recorded with their time, and end when told. */
function recorded(options: { results?: Requeue[]; runMs?: number; runningMax?: number } = {}) {
  const clock = createFakeClock(0)
  const runs: string[] = []
  const results = [...(options.results ?? [])]
  const running = { now: 0, most: 0 }
  const queue = createQueue<string>({
    clock,
    random: () => 0,
    ...(options.runningMax === undefined ? {} : { runningMax: options.runningMax }),
    run: async (key) => {
      runs.push(`${key}@${clock.now()}`)
      running.now += 1
      running.most = Math.max(running.most, running.now)
      if (options.runMs !== undefined) {
        const { promise, resolve } = Promise.withResolvers<void>()
        clock.after(options.runMs, resolve)
        await promise
      }
      running.now -= 1
      return results.shift() ?? { kind: 'await-change' }
    },
  })
  return { clock, queue, runs, running }
}

test('equal keys merge into one run', async () => {
  const { clock, queue, runs } = recorded()
  queue.add('a')
  queue.add('a')
  queue.add('b')
  await clock.advance(1)
  expect(runs).toEqual(['a@0', 'b@0'])
})

test('the earlier of two times wins, whichever is asked for first', async () => {
  const { clock, queue, runs } = recorded()
  queue.add('a', 100)
  queue.add('a', 50)
  queue.add('b', 50)
  queue.add('b', 100)
  await clock.advance(200)
  expect(runs).toEqual(['a@50', 'b@50'])
})

test('a key never runs twice at once; asked for while it runs, it runs once more afterwards', async () => {
  const { clock, queue, runs, running } = recorded({ runMs: 10 })
  queue.add('a')
  await clock.advance(5)
  queue.add('a')
  queue.add('a')
  await clock.advance(100)
  expect(runs).toEqual(['a@0', 'a@10'])
  expect(running.most).toBe(1)
})

test('at most as many keys run at the same time as allowed', async () => {
  const { clock, queue, runs, running } = recorded({ runMs: 10, runningMax: 2 })
  for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key)
  await clock.advance(100)
  expect(runs).toHaveLength(5)
  expect(running.most).toBe(2)
})

test('a key that fails waits longer each time; success forgets it', async () => {
  const failed: Requeue = { kind: 'back-off', reason: 'no' }
  const { clock, queue, runs } = recorded({ results: [failed, failed, failed, { kind: 'after', ms: 1_000 }, failed] })
  queue.add('a')
  await clock.advance(6_000)
  expect(runs).toEqual(['a@0', 'a@250', 'a@750', 'a@1750', 'a@2750', 'a@3000'])
})

test('a change does not wait for the back-off', async () => {
  const { clock, queue, runs } = recorded({ results: [{ kind: 'back-off', reason: 'no' }] })
  queue.add('a')
  await clock.advance(100)
  queue.add('a')
  await clock.advance(1_000)
  expect(runs).toEqual(['a@0', 'a@100'])
})

test('one that is stalled or done waits for a change', async () => {
  const { clock, queue, runs } = recorded({ results: [{ kind: 'stalled', reason: 'x' }] })
  queue.add('a')
  queue.add('b')
  await clock.advance(1_000_000)
  expect(runs).toEqual(['a@0', 'b@0'])
  expect(queue.depth).toBe(0)
})

test('once stopped it waits for what runs and takes nothing more', async () => {
  const { clock, queue, runs } = recorded({ runMs: 10 })
  queue.add('a')
  queue.add('later', 500)
  await clock.advance(5)
  const stopped = queue.stop()
  queue.add('b')
  await clock.advance(1_000)
  await stopped
  expect(runs).toEqual(['a@0'])
  expect(clock.pending).toBe(0)
})
