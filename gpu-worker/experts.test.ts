import { describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import type { DispatchId } from '#contracts/ids.ts'
import { expectAllEnded, promptOf, sampling, Stand, type StandOptions } from './worker.fixture.ts'

const file = (name: string, bytes = 100) => ({ name, path: `${name}.gguf`, bytes })
const experts = ['law', 'sql', 'verse', 'code'].map((name) => file(name))
const stand = (options: StandOptions = {}) =>
  new Stand({ experts: { files: experts, bytesMax: 200 }, slots: 4, ...options })
const ask = (to: Stand, expert: string | undefined, from = 0, maxTokens = 12): DispatchId =>
  to.send({ work: promptOf(20, from), sampling: sampling({ maxTokens }), ...(expert === undefined ? {} : { expert }) })
const alone = async (expert: string | undefined, from = 0, maxTokens = 12) => {
  const own = stand()
  const id = ask(own, expert, from, maxTokens)
  await own.end(id)
  return own.tokens(id)
}

describe('a worker with experts', () => {
  test('answers each request as its expert alone would, whoever comes beside it', async () => {
    const names = ['sql', undefined, 'verse', 'sql', 'law', undefined, 'code', 'verse']
    const all = stand()
    const ids = names.map((name, i) => ask(all, name, i))
    await all.end(...ids)
    for (const [i, id] of ids.entries()) expect(all.tokens(id)).toEqual(await alone(names[i], i))
    const texts = ['sql', undefined, 'verse'].map(async (name) => (await alone(name)).join())
    expect(new Set(await Promise.all(texts)).size).toBe(3)
    expectAllEnded(all, ids)
  })

  test('serves a whole queue before the next expert is attached, and keeps no more of them than it may', async () => {
    const attached: (string | null)[] = []
    const all = stand({
      wrap: (runner) => {
        const attach = runner.experts.attach.bind(runner.experts)
        runner.experts.attach = (name) => {
          attached.push(name)
          expect(runner.experts.loaded.size).toBeLessThanOrEqual(2)
          attach(name)
        }
        return runner
      },
    })
    const names = ['sql', 'verse', 'law']
    const ids = Array.from({ length: 8 }, (_, i) => ask(all, names[i % 3], i))
    await all.end(...ids)
    expect(ids.every((id) => all.tokens(id).length === 12)).toBe(true)
    expect(attached.filter((name) => name !== null)).toHaveLength(3)
    expect(all.worker.report().experts).toHaveLength(2)
    expectAllEnded(all, ids)
  })

  test('lets nobody wait beyond the guard for the sake of long answers, and those go on as if nothing had been', async () => {
    const all = stand({ contextTokensMax: 4_096 })
    const long = Array.from({ length: 4 }, (_, i) => ask(all, 'sql', i, 600))
    await all.clock.advance(100)
    const sentAt = all.process.now()
    const short = ask(all, 'verse', 9)
    await all.end(short)
    expect(all.process.now() - sentAt).toBeLessThan(limits.experts.waitMsMax + 1_000)
    expect(long.every((id) => !all.isEnded(id))).toBe(true)
    await all.end(...long)
    expect(all.tokens(long[0] ?? short)).toEqual(await longAlone())
    expectAllEnded(all, [...long, short])
  })

  test('ends two prompts that each take longer than the guard, although nothing that gives way is kept', async () => {
    const all = stand({ contextTokensMax: 2_048, prefixCacheMiB: 0, simulated: { promptTokensPerSecond: 200 } })
    const long = (expert: string, from: number) =>
      all.send({ work: promptOf(1_500, from), sampling: sampling({ maxTokens: 3 }), expert })
    const ids = [long('sql', 0), long('verse', 1)]
    await all.end(...ids)
    expect(ids.map((id) => all.tokens(id).length)).toEqual([3, 3])
    expectAllEnded(all, ids)
  })

  test('loads the adapter of the next turn while the one before still runs', async () => {
    const loadedBeside: (string | null)[] = []
    const all = stand({
      wrap: (runner) => {
        const load = runner.experts.load.bind(runner.experts)
        runner.experts.load = (name, path) => {
          loadedBeside.push(runner.experts.attached)
          return load(name, path)
        }
        return runner
      },
    })
    const ids = [ask(all, 'sql', 0, 40), ask(all, 'sql', 1, 40), ask(all, 'verse', 2)]
    await all.end(...ids)
    expect(loadedBeside).toEqual([null, 'sql'])
    expect(await all.metrics.text()).toMatch(/paceline_expert_loads_total\{[^}]*cause="ahead"\} 1/)
    expectAllEnded(all, ids)
  })

  test('lets whoever waited in a router already begin the sooner', async () => {
    const sinceSent = async (waitedMs: number) => {
      const all = stand({ contextTokensMax: 4_096 })
      for (let i = 0; i < 4; i++) ask(all, 'sql', i, 600)
      await all.clock.advance(100)
      const sentAt = all.process.now()
      const dispatch = { work: promptOf(20, 9), sampling: sampling({ maxTokens: 12 }), expert: 'verse', waitedMs }
      await all.end(all.send(dispatch))
      return all.process.now() - sentAt
    }
    const waitedMs = limits.experts.waitMsMax - 1_500
    expect(await sinceSent(waitedMs)).toBeLessThan((await sinceSent(0)) - waitedMs / 2)
  })

  test('refuses an expert that the deployment does not have, and fails one that does not load, alone', async () => {
    const all = stand({
      experts: { files: [...experts, file('huge', 1_000), file('broken')], bytesMax: 200 },
    })
    const elsewhere = { kind: 'elsewhere' }
    const unknown = ask(all, 'poetry')
    await all.end(unknown)
    expect(all.last(unknown)).toMatchObject({ kind: 'refused', failure: { code: 'model-not-found', retry: elsewhere } })
    const [huge, fine] = [ask(all, 'huge'), ask(all, 'sql')]
    await all.end(huge, fine)
    expect(all.last(huge)).toMatchObject({
      outcome: { kind: 'failed', failure: { code: 'model-unusable', retry: elsewhere } },
    })
    expect(all.last(fine)).toMatchObject({ outcome: { kind: 'completed' } })
    const again = ask(all, 'huge')
    await all.end(again)
    expectAllEnded(all, [huge, fine, again])
  })
})

async function longAlone(): Promise<number[]> {
  const own = stand({ contextTokensMax: 4_096 })
  const id = ask(own, 'sql', 0, 600)
  await own.end(id)
  return own.tokens(id)
}
