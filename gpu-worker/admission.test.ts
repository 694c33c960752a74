import { expect, test } from 'vitest'
import { DeploymentName, Revision } from '#contracts/ids.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { encode } from '#runtime/messages.ts'
import { expectAllEnded, promptOf, sampling, Stand } from './worker.fixture.ts'

/** Two sequences have a token every 20 ms, three every 30. */
const slow = { simulated: { stepMs: 10, rowMs: 10 }, slots: 4 }
const goodput = { ttftMs: 1_000, tpotMs: 25, admission: 'goodput' } as const

const send = (stand: Stand, count: number, maxTokens: number) =>
  Array.from({ length: count }, (_, from) =>
    stand.send({ work: promptOf(20, from), sampling: sampling({ maxTokens }) }),
  )

/** Until the worker has seen what its steps take. */
async function warm(stand: Stand): Promise<void> {
  for (const count of [1, 2, 3, 4]) await stand.end(...send(stand, count, 24))
}

test('no more run at once than have their tokens in time; the others wait and lose nothing', async () => {
  const stand = new Stand({ ...slow, slo: goodput })
  await warm(stand)
  const ids = send(stand, 4, 40)
  await stand.clock.advance(300)
  expect(stand.worker.report().slots).toEqual({ total: 2, busy: 2, waiting: 2 })
  await stand.end(...ids)
  expectAllEnded(stand, ids)
})

test('what the SLO asks for changes live, and lets those in who wait', async () => {
  const stand = new Stand({ ...slow, slo: goodput })
  await warm(stand)
  const ids = send(stand, 4, 60)
  await stand.clock.advance(300)
  stand.bus.tell('models', 'tiny', encode(recordWith({ ...goodput, tpotMs: 33 })))
  await stand.clock.advance(100)
  expect(stand.worker.report().slots).toMatchObject({ total: 3, busy: 3 })
  stand.bus.tell('models', 'tiny', encode(recordWith({ ttftMs: 1_000, tpotMs: 25 })))
  await stand.clock.advance(100)
  expect(stand.worker.report().slots).toEqual({ total: 4, busy: 4, waiting: 0 })
  await stand.end(...ids)
})

test('a worker that has measured nothing yet, and one that is too slow even for one alone, keep nobody out', async () => {
  const young = new Stand({ ...slow, slo: goodput })
  const ids = send(young, 4, 8)
  await young.clock.advance(30)
  expect(young.worker.report().slots.busy).toBe(4)
  await young.end(...ids)
  const late = new Stand({ ...slow, slo: { ...goodput, tpotMs: 5 } })
  await warm(late)
  send(late, 4, 40)
  await late.clock.advance(300)
  expect(late.worker.report().slots).toEqual({ total: 4, busy: 4, waiting: 0 })
})

function recordWith(slo: ModelRecord['slo']): unknown {
  return {
    deployment: DeploymentName.parse('tiny'),
    servedNames: ['tiny'],
    revision: Revision.parse('r1'),
    created: 0,
    contextTokensMax: 512,
    capabilities: { chat: true, completions: true, embeddings: false, grammar: false },
    simulated: true,
    reproducible: 'no',
    slo,
    experts: [],
    queue: { requestsMax: 1, bytesMax: 1 },
  }
}
