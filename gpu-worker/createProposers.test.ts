import { mkdtemp, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { createProposers } from './createProposers.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'

const mib = 2 ** 20

test('a draft whose weights memory does not hold is not even opened', async () => {
  const draftPath = join(await mkdtemp(join(tmpdir(), 'draft-')), 'large.gguf')
  await writeFile(draftPath, '')
  await truncate(draftPath, 64 * mib)
  const availableBytes = 60 * mib + limits.speculation.draftMemorySpareBytes
  const { proposers, unusable } = await proposersFor(draftPath, availableBytes)
  expect(proposers.map(({ method }) => method)).toEqual(['ngram', 'trigram'])
  expect(unusable).toMatchObject([{ proposer: 'draft', reason: 'DraftMemory' }])
  expect(unusable[0]?.message).toMatch(/^4 MiB of memory are missing: the draft's weights are 64 MiB/)
})

test('one that is missing, or none, says so itself whatever memory there is', async () => {
  expect((await proposersFor(null, 0)).unusable).toEqual([])
  const { unusable } = await proposersFor('/nowhere/draft.gguf', 1e12)
  expect(unusable).toMatchObject([{ proposer: 'draft', reason: 'DraftUnusable' }])
})

function proposersFor(draftPath: string | null, availableBytes: number) {
  const config = WorkerConfig.parse({
    worker: 'worker-1',
    deployment: 'tiny',
    revision: 'r1',
    modelPath: '/models/target.gguf',
    modelSha256: null,
    draftPath,
    engine: {},
    kvCacheType: 'auto',
    nats: { url: 'nats://stub', user: 'worker' },
    slo: {},
    metricsPort: 0,
    cacheDir: '/nowhere',
  })
  const runner = createSimulatedRunner({
    promptTokensPerSecond: 1e6,
    stepMs: 0,
    rowMs: 0,
    acceptance: 1,
    draftTokens: 0,
    seed: 1,
    faults: [],
    slots: 1,
    contextTokensMax: 64,
    kvLayout: 'split',
    clock: systemClock,
  })
  return createProposers(config, {
    runner,
    log: silentLog,
    clock: systemClock,
    host: process,
    readMemory: () => Promise.resolve({ availableBytes, boundBy: 'machine' }),
  })
}
