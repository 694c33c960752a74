import { describe, expect, test } from 'vitest'
import { curveFrom } from '#algorithms/costCurve.ts'
import { DeploymentName, WorkerId } from '#contracts/ids.ts'
import type { CostCurveMessage } from '#contracts/messages.ts'
import { workerReport } from '#contracts/testing/workerReport.ts'
import { candidates, estimatedTokens, pick, predictedMs, withShares } from './pick.ts'
import type { Worker } from './workers.ts'

const curve: CostCurveMessage = {
  rows: [1, 4, 8],
  contexts: [0],
  ms: [[10, 13, 20]],
  promptTokensPerSecond: 1_000,
  origin: 'measured',
}
const worker = (
  name: string,
  changes: { busy?: number; prefixes?: string[]; pending?: number; pausedUntil?: number } = {},
): Worker => ({
  id: WorkerId.parse(name),
  deployment: DeploymentName.parse('smol'),
  record: null,
  report: workerReport(
    { worker: name, deployment: 'smol', revision: 'r1' },
    {
      number: 1,
      slots: { total: 8, busy: changes.busy ?? 0, waiting: 0 },
      promptTokensPending: changes.pending ?? 0,
      prefixes: changes.prefixes ?? [],
      costCurve: curve,
    },
  ),
  curve: curveFrom(curve),
  prefixes: new Set(changes.prefixes ?? []),
  heardAt: 0,
  inFlight: 0,
  unanswered: 0,
  drift: 0,
  pausedUntil: changes.pausedUntil ?? 0,
})
const need = (promptTokens: number, prefixes: { digest: string; share: number }[] = []) => ({
  promptTokens,
  prefixes,
  excluded: [],
})

describe('filter', () => {
  const from = (workers: Worker[], excluded: WorkerId[] = []) =>
    candidates(workers, { excluded, now: 100, isLive: (each) => each.id !== 'dead' }).map((each) => each.id)

  test('full, paused, excluded and silent workers get nothing', () => {
    const workers = [
      worker('full', { busy: 8 }),
      worker('paused', { pausedUntil: 101 }),
      worker('dead'),
      worker('ok'),
      worker('out'),
    ]
    expect(from(workers, [WorkerId.parse('out')])).toEqual(['ok'])
  })
})

describe('pick', () => {
  test('the idle one of two equals', () => {
    expect(pick([worker('busy', { busy: 4 }), worker('idle')], need(10), 0)?.id).toBe('idle')
  })

  test('a held prefix wins where it saves more than the load costs', () => {
    const workers = [worker('idle'), worker('holds', { busy: 4, prefixes: ['p'] })]
    expect(pick(workers, need(1_000, [{ digest: 'p', share: 0.9 }]), 0)?.id).toBe('holds')
    expect(pick(workers, need(20, [{ digest: 'p', share: 0.9 }]), 0)?.id).toBe('idle')
  })

  test('of several held prefixes the longest counts', () => {
    const long = worker('long', { prefixes: ['a', 'b'] })
    const prefixes = [
      { digest: 'a', share: 0.2 },
      { digest: 'b', share: 0.8 },
    ]
    expect(pick([worker('short', { prefixes: ['a'] }), long], need(500, prefixes), 0)?.id).toBe('long')
  })

  test('prompt work that waits at a worker counts against it', () => {
    expect(pick([worker('a', { pending: 4_000 }), worker('b')], need(10), 0)?.id).toBe('b')
  })

  test('equals are told apart by the tie-break', () => {
    const workers = [worker('a'), worker('b')]
    expect([0, 0.49, 0.5, 0.99].map((tie) => pick(workers, need(10), tie)?.id)).toEqual(['a', 'a', 'b', 'b'])
  })

  test('nobody where there is nobody', () => {
    expect(pick([], need(10), 0)).toBeNull()
  })
})

test('the predicted time follows the cost curve, between its points and beyond', () => {
  const at = (busy: number) => predictedMs(worker('w', { busy }), need(0)) / 32
  expect([0, 3, 5, 7].map(at)).toEqual([10, 13, 16.5, 20])
  expect(at(11)).toBeCloseTo(30)
})

test('shares of a chat grow by message and end at one', () => {
  const work = {
    kind: 'chat' as const,
    messages: [
      { role: 'system', content: 'x'.repeat(30) },
      { role: 'user', content: 'y'.repeat(10) },
    ],
  }
  expect(withShares(work, ['a', 'b'], { text: 256, tokens: 64 })).toEqual([
    { digest: 'a', share: 0.75 },
    { digest: 'b', share: 1 },
  ])
  expect(estimatedTokens(work)).toBe(11)
})
