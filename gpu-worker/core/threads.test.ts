import { expect, test } from 'vitest'
import { observeThreads, startThreads, type ThreadState } from './threads.ts'

interface Machine {
  /** What a step takes with so many threads, relative to the curve (which was measured with 2 threads alone). */
  ratio(threads: number): number
}
const alone: Machine = { ratio: (threads) => (threads === 2 ? 1 : 1.9) }
const besideNeighbour: Machine = { ratio: (threads) => (threads === 2 ? 4.8 : 1.9) }

function run(state: ThreadState, machine: Machine, options: { from: number; steps: number; stepMs?: number }) {
  const { from, steps, stepMs = 20 } = options
  const seen: number[] = []
  let now = from
  for (let i = 0; i < steps; i++) {
    now += stepMs
    state = observeThreads(state, { ratio: machine.ratio(state.threads), now }, { threadsMax: 2 })
    seen.push(state.threads)
  }
  return { state, now, seen }
}

test('alone on the machine all threads stay, and trying fewer costs under 2% of the steps', () => {
  const { state, seen } = run(startThreads(2, 0), alone, { from: 0, steps: 10_000 })
  expect(state.threads).toBe(2)
  expect(seen.filter((threads) => threads === 1).length).toBeLessThan(200)
})

test('beside a busy neighbour it falls to one thread within two seconds', () => {
  const { state } = run(startThreads(2, 0), besideNeighbour, { from: 0, steps: 100 })
  expect(state.threads).toBe(1)
})

test('a neighbour that arrives later is noticed, and when it leaves the threads come back', () => {
  const start = run(startThreads(2, 0), alone, { from: 0, steps: 500 })
  const noisy = run(start.state, besideNeighbour, { from: start.now, steps: 100 })
  expect(noisy.state.threads).toBe(1)
  const quiet = run(noisy.state, alone, { from: noisy.now, steps: 10_000 })
  expect(quiet.state.threads).toBe(2)
})

test('trying more threads beside a neighbour ends after two stalled steps', () => {
  const noisy = run(startThreads(2, 0), besideNeighbour, { from: 0, steps: 200 })
  const { seen, state } = run(noisy.state, besideNeighbour, { from: noisy.now, steps: 5_000 })
  expect(state.threads).toBe(1)
  const tries = seen.filter((threads, i) => threads === 2 && seen[i - 1] === 1).length
  expect(tries).toBeGreaterThan(0)
  expect(seen.filter((threads) => threads === 2).length).toBeLessThanOrEqual(2 * tries)
})

test('a difference within the noise changes nothing', () => {
  const flat: Machine = { ratio: (threads) => (threads === 2 ? 1 : 0.97) }
  expect(run(startThreads(2, 0), flat, { from: 0, steps: 2_000 }).state.threads).toBe(2)
})

test('with one CPU nothing is ever tried', () => {
  const state = startThreads(1, 0)
  expect(observeThreads(state, { ratio: 9, now: 99_999 }, { threadsMax: 1 })).toBe(state)
})

test('steps that vary by a third either way do not make it try again and again', () => {
  let draw = 0
  const noise = () => 0.67 + 0.66 * ((++draw * 0.618_034) % 1)
  const noisy: Machine = { ratio: (threads) => alone.ratio(threads) * noise() }
  const { state, seen } = run(startThreads(2, 0), noisy, { from: 0, steps: 10_000 })
  expect(state.threads).toBe(2)
  expect(seen.filter((threads) => threads === 1).length).toBeLessThan(200)
})
