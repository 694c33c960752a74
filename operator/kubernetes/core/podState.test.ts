import { describe, expect, test } from 'vitest'
import type { Pod } from './objects.ts'
import { endOf, isEnded, isRunning, waitsFor } from './podState.ts'

const podOf = (status: object): Pod => ({ metadata: { name: 'w-1' }, status }) as Pod
const container = (state: object) => ({ containerStatuses: [{ name: 'worker', state }] })
const terminated = (fields: object) =>
  podOf({
    phase: 'Failed',
    ...container({ terminated: { startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:00:07Z', ...fields } }),
  })

describe('how a worker pod ended', () => {
  test('is told with its code, its age and its last words', () => {
    const end = endOf(terminated({ exitCode: 3, message: '{"level":"error","msg":"the engine refused"}\n' }))
    expect(end).toEqual({
      code: 3,
      message: 'worker w-1 exited with code 3 after 7.0 s; last words: the engine refused',
    })
  })

  test('by the memory limit says what to change', () => {
    expect(endOf(terminated({ exitCode: 137, reason: 'OOMKilled' })).message).toMatch(/memory limit.*limits\.memory/)
  })

  test('by its node is told in the words of the node', () => {
    const evicted = podOf({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' })
    expect(endOf(evicted)).toEqual({
      code: null,
      message: 'worker w-1 was ended: Evicted: The node was low on resource: memory.',
    })
    expect(isEnded(evicted)).toBe(true)
  })
})

describe('why a worker pod does not run', () => {
  test.each([
    [
      'no node',
      { conditions: [{ type: 'PodScheduled', status: 'False', message: 'Insufficient nvidia.com/gpu' }] },
      /no node: Insufficient/,
    ],
    [
      'no image',
      container({ waiting: { reason: 'ImagePullBackOff', message: 'not found' } }),
      /ImagePullBackOff: not found/,
    ],
    [
      'a missing Secret',
      container({ waiting: { reason: 'CreateContainerConfigError', message: 'secret "nats" not found' } }),
      /secret/,
    ],
  ])('is said where somebody may have to act: %s', (_what, status, words) => {
    expect(waitsFor(podOf({ phase: 'Pending', ...status }))).toMatch(words)
  })

  test('is not said while it just starts, or runs', () => {
    expect(waitsFor(podOf({ phase: 'Pending', ...container({ waiting: { reason: 'ContainerCreating' } }) }))).toBeNull()
    const running = podOf({ phase: 'Running', ...container({ running: {} }) })
    expect([waitsFor(running), isRunning(running)]).toEqual([null, true])
  })
})
