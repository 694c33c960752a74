/** The promises of a runner's experts, on the simulated one and on llama.cpp: each text is that of its expert alone, however steps take turns. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#runtime/clock.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { silentLog } from '#runtime/log.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import { writeLoraFile } from '../../gpu-worker/llama/loraFile.fixture.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { createSimulatedRunner } from '../../gpu-worker/simulated/simulatedRunner.ts'
import { EngineStand, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'
import { argmax, empty, greedy, sampleTokens, span } from './modelRunnerSteps.ts'

const shape = { slots: 3, contextTokensMax: 256, kvLayout: 'split' } as const
const names = ['sql', 'verse'] as const

function expertSuite(open: () => Promise<ModelRunner>, pathOf: (name: string) => string): void {
  let runner: ModelRunner
  let prompt: number[]
  beforeAll(async () => {
    runner = await open()
    prompt = sampleTokens(runner).slice(0, 9)
    for (const name of names) await runner.experts.load(name, pathOf(name))
  })
  afterAll(() => runner?.[Symbol.asyncDispose]())

  const write = async (expert: string | null, count = 6) => {
    empty(runner)
    runner.experts.attach(expert)
    const text = await greedy(runner, prompt, count)
    empty(runner)
    runner.experts.attach(null)
    return text
  }

  test('each writes its own text, and none is left behind', async () => {
    const plain = await write(null)
    const [sql, verse] = [await write('sql'), await write('verse')]
    expect(new Set([plain, sql, verse].map((text) => text.join())).size).toBe(3)
    expect(await write('sql')).toEqual(sql)
    expect(await write(null)).toEqual(plain)
    expect(runner.experts.attached).toBeNull()
  })

  test('sequences of several experts that take turns write what each writes alone', async () => {
    const experts = [null, ...names]
    const alone: number[][] = []
    for (const expert of experts) alone.push(await write(expert))
    const texts: number[][] = experts.map(() => [])
    for (let step = 0; step < 6; step++) {
      for (const [slot, expert] of experts.entries()) {
        runner.experts.attach(expert)
        const last = texts[slot]?.at(-1)
        const tokens = last === undefined ? prompt : [last]
        await runner.decode([span(slot, step === 0 ? 0 : prompt.length + step - 1, tokens, 1)])
        texts[slot]?.push(argmax(runner.logits(0)))
      }
    }
    empty(runner)
    runner.experts.attach(null)
    expect(texts).toEqual(alone)
  })

  test('a saved sequence goes on under its expert', async () => {
    const whole = await write('sql', 4)
    runner.experts.attach('sql')
    await runner.decode([span(0, 0, prompt, 1)])
    const text = [argmax(runner.logits(0))]
    const saved = runner.saveSequence(0)
    empty(runner)
    runner.experts.attach('verse')
    await greedy(runner, prompt, 2)
    runner.experts.attach('sql')
    expect(runner.restoreSequence(1, saved)).toBe(true)
    while (text.length < whole.length) {
      await runner.decode([span(1, prompt.length + text.length - 1, text.slice(-1), 1)])
      text.push(argmax(runner.logits(0)))
    }
    empty(runner)
    runner.experts.attach(null)
    expect(text).toEqual(whole)
  })

  test('come and go by name: loaded once, unloaded when not attached, and then not to be attached', async () => {
    const { experts } = runner
    expect([...experts.loaded.keys()]).toEqual([...names])
    expect(await experts.load('sql', pathOf('sql'))).toBe(experts.loaded.get('sql'))
    experts.attach('sql')
    expect(() => experts.unload('sql')).toThrow('expert sql is attached')
    experts.attach(null)
    experts.unload('sql')
    experts.unload('sql')
    expect(() => experts.attach('sql')).toThrow('expert sql is not loaded')
    const [one, other] = await Promise.all([experts.load('sql', pathOf('sql')), experts.load('sql', pathOf('sql'))])
    expect(one).toBe(other)
    expect(one.bytes).toBeGreaterThan(0)
  })
}

describe('simulated', () => {
  const open = () =>
    Promise.resolve(
      createSimulatedRunner({
        promptTokensPerSecond: 100_000,
        stepMs: 0,
        rowMs: 0,
        acceptance: 1,
        draftTokens: 0,
        seed: 1,
        faults: [],
        clock: systemClock,
        ...shape,
      }),
    )
  expertSuite(open, (name) => name)

  test('a step that goes on from another expert’s cells is found out', async () => {
    await using runner = await open()
    await runner.experts.load('sql', '')
    await runner.decode([span(0, 0, [300, 301], 1)])
    runner.experts.attach('sql')
    await expect(runner.decode([span(0, 2, [302], 1)])).rejects.toThrow('slot 0 holds cells of another expert')
    runner.truncate(0, 0)
    expect(await runner.decode([span(0, 0, [300], 1)])).toMatchObject({ kind: 'decoded' })
  })
})

const model = testModel()
if (model.kind === 'missing') console.warn(`experts are not tested on llama.cpp: ${model.reason}`)
describe.skipIf(model.kind === 'missing')('llama.cpp', () => {
  const path = model.kind === 'missing' ? '' : model.path
  let folder = ''
  const pathOf = (name: string) => join(folder, `${name}.gguf`)
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'experts-'))
    for (const [seed, name] of names.entries()) await writeLoraFile(pathOf(name), path, { seed })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const open = () =>
    createLlamaRunner({
      ...shape,
      modelPath: path,
      kvCacheType: 'q8_0',
      threads: 1,
      backend: 'auto',
      embeddings: false,
      host: process,
      clock: systemClock,
      log: silentLog,
    })
  expertSuite(open, pathOf)

  test('a row is the same alone as in company, bit by bit, whatever stands beside it', async () => {
    await using runner = await open()
    await runner.experts.load('sql', pathOf('sql'))
    runner.experts.attach('sql')
    const prompt = sampleTokens(runner).slice(0, 9)
    const rowBeside = async (...others: [slot: number, tokens: number][]) => {
      empty(runner)
      await runner.decode([span(0, 0, prompt, 1)])
      const last = prompt.slice(0, 1)
      await runner.decode([
        span(0, 9, last, 1),
        ...others.map(([slot, tokens]) => span(slot, 0, prompt.slice(0, tokens), 0)),
      ])
      return Buffer.from(runner.logits(0).slice().buffer)
    }
    const alone = await rowBeside()
    for (const others of [
      [[1, 1]],
      [[2, 1]],
      [[1, 5]],
      [
        [1, 1],
        [2, 6],
      ],
    ] as [number, number][][])
      expect(alone.equals(await rowBeside(...others)), JSON.stringify(others)).toBe(true)
  })

  test('a worker with room for one of them answers each request as its expert alone would', async () => {
    await using runner = await open()
    const [bytes = 0] = await Promise.all(names.map(async (name) => (await stat(pathOf(name))).size))
    const experts = { files: names.map((name) => ({ name, path: pathOf(name), bytes })), bytesMax: bytes + 1 }
    await using worker = new EngineStand(runner, { proposers: [], experts })
    const sampling = { ...samplingDefaults, seed: 3, temperature: 0.8, maxTokens: 6, ignoreEos: true }
    const ask = (expert: string | undefined, prompt: string) => ({
      work: { kind: 'completion', prompt, echo: false } as const,
      sampling,
      ...(expert === undefined ? {} : { expert }),
    })
    const requests = ['sql', undefined, 'verse', 'sql', 'verse'].map((name, i) => ask(name, `The ${i}th of them said`))
    const together = textsOf(await worker.ask(requests))
    const alone: string[] = []
    for (const request of requests) alone.push(...textsOf(await worker.ask([request])))
    expect(together).toEqual(alone)
    expect(worker.worker.report().experts).toHaveLength(1)
  })
})
