import { expect, test } from 'vitest'
import type { ContextHandle, Symbols } from './symbols.ts'
import { ContextThreads } from './threadPool.ts'

/** Two pools and what was done with them, in order. */
function stand(threads: number) {
  const done: string[] = []
  let opened = 0n
  const symbols = {
    setThreads: () => undefined,
    attachThreads: (_context: ContextHandle, pool: bigint) => void done.push(`attach ${pool}`),
    detachThreads: () => void done.push('detach'),
  } as unknown as Symbols
  const pools = {
    open: () => (opened += 1n),
    free: (pool: bigint) => void done.push(`free ${pool}`),
  }
  return { done, threads: new ContextThreads({ symbols, context: 1n as ContextHandle, pools, threads }) }
}

test('a pool that is given up lives until a decode has gone through with the next one', () => {
  const { done, threads } = stand(2)
  threads.use(3)
  expect(done).toEqual(['attach 1', 'detach', 'attach 2'])
  threads.use(3)
  expect(done).not.toContain('free 1')
  threads.decoded()
  threads.decoded()
  expect(done.filter((step) => step.startsWith('free'))).toEqual(['free 1'])
})

test('one thread has no pool, and nothing is left over at the end', () => {
  const { done, threads } = stand(2)
  threads.use(1)
  threads[Symbol.dispose]()
  expect(done).toEqual(['attach 1', 'detach', 'free 1'])
})
