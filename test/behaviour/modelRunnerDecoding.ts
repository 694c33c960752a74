/** The promises of `decode` and of the cells behind it: what follows from which tokens, and from nothing else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DecodeResult, ModelRunner } from '../../gpu-worker/modelRunner.ts'
import {
  argmax,
  empty,
  expectSame,
  greedy,
  inChunks,
  logitsAfter,
  type OpenRunner,
  sampleTokens,
  savedState,
  span,
  usual,
} from './modelRunnerSteps.ts'

/** q8_0: the cache type in which results do not depend on the batch, so that equality can be asked for. */
export function rowSuite(open: OpenRunner, kvLayout: 'split' | 'unified'): void {
  let runner: ModelRunner
  let text: number[]
  beforeAll(async () => {
    runner = await open({ ...usual, kvLayout, kvCacheType: 'q8_0' })
    text = sampleTokens(runner)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test('rows come in the order of the batch: last tokens of each span, span after span', async () => {
    const spans = [
      span(0, 0, text.slice(0, 12), 1),
      span(1, 0, text.slice(3, 20), 0),
      span(2, 0, text.slice(5, 14), 3),
      span(3, 0, text.slice(0, 7), 7),
    ]
    expect(await runner.decode(spans)).toMatchObject({ kind: 'decoded', rows: 11 })
    const rows = Array.from({ length: 11 }, (_, row) => runner.logits(row).slice())
    empty(runner)
    const ends = [text.slice(0, 12), text.slice(5, 12), text.slice(5, 13), text.slice(5, 14), text.slice(0, 1)]
    const alone = [0, 1, 2, 3, 4].map((row) => rows[row])
    for (const [i, tokens] of ends.entries()) expectSame(alone[i], await logitsAfter(runner, tokens))
  })

  test('a draft verified in one decode gives the rows of one token at a time', async () => {
    const oneByOne: Float32Array[] = []
    await runner.decode([span(0, 0, text.slice(0, 10), 1)])
    for (let i = 10; i < 16; i++) {
      await runner.decode([span(0, i, text.slice(i, i + 1), 1)])
      oneByOne.push(runner.logits(0).slice())
    }
    runner.truncate(0, 10)
    expect(await runner.decode([span(0, 10, text.slice(10, 16), 6)])).toMatchObject({ rows: 6 })
    for (const [row, expected] of oneByOne.entries()) expectSame(runner.logits(row), expected)
    empty(runner)
  })

  test('a brief decode gives the same rows', async () => {
    const expected = await logitsAfter(runner, text.slice(0, 9))
    await runner.decode([span(0, 0, text.slice(0, 8), 1)], { isBrief: true })
    await runner.decode([span(0, 8, text.slice(8, 9), 1)], { isBrief: true })
    expectSame(runner.logits(0), expected)
    empty(runner)
  })

  test('truncate takes back tokens as if they had never been', async () => {
    const expected = await logitsAfter(runner, [...text.slice(0, 8), ...text.slice(30, 34)])
    await runner.decode([span(0, 0, text.slice(0, 20), 1)])
    runner.truncate(0, 8)
    await runner.decode([span(0, 8, text.slice(30, 34), 1)])
    expectSame(runner.logits(0), expected)
    runner.truncate(0, 500)
    await runner.decode([span(0, 12, text.slice(0, 1), 1)])
    empty(runner)
  })

  test('a prompt in chunks gives the same row as in one piece', async () => {
    const whole = await logitsAfter(runner, text.slice(0, 60))
    for (const chunk of [7, 16, 59]) {
      await inChunks(runner, text.slice(0, 60), chunk)
      expectSame(runner.logits(0), whole)
      empty(runner)
    }
  })

  test('neighbours, their arrival and their end change nothing for a sequence', async () => {
    const alone = await greedy(runner, text.slice(0, 20), 6)
    await runner.decode([span(0, 0, text.slice(10, 25), 0), span(1, 0, text.slice(0, 20), 1)])
    const together: number[] = [argmax(runner.logits(0))]
    for (let step = 0; together.length < 6; step++) {
      if (step === 3) runner.truncate(0, 0)
      const own = span(1, 20 + step, together.slice(-1), 1)
      const others = [
        span(0, step < 3 ? 15 + step : step - 3, [text[step] ?? 0], 1),
        own,
        span(3, step, [text[0] ?? 0], 1),
      ]
      await runner.decode(others)
      together.push(argmax(runner.logits(1)))
    }
    expect(together).toEqual(alone)
    empty(runner)
  })
}

export function stateSuite(open: OpenRunner, kvLayout: 'split' | 'unified'): void {
  let runner: ModelRunner
  let text: number[]
  beforeAll(async () => {
    runner = await open({ ...usual, kvLayout, kvCacheType: 'q8_0' })
    text = sampleTokens(runner)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test('a saved sequence goes on with identical logits, in its slot and in another', async () => {
    await runner.decode([span(1, 0, text.slice(0, 40), 1), span(2, 0, text.slice(20, 33), 1)])
    const bytes = runner.sequenceBytes(1)
    const state = runner.saveSequence(1)
    expect(state.byteLength).toBe(bytes)
    await runner.decode([span(1, 40, text.slice(40, 43), 1)])
    const expected = runner.logits(0).slice()
    for (const slot of [1, 0, 3]) {
      runner.truncate(slot, 0)
      expect(runner.restoreSequence(slot, state)).toBe(true)
      await runner.decode([span(slot, 40, text.slice(40, 43), 1)])
      expectSame(runner.logits(0), expected)
    }
    empty(runner)
  })

  test('a restored sequence can be cut and continued differently', async () => {
    const expected = await logitsAfter(runner, [...text.slice(0, 25), ...text.slice(50, 55)])
    await runner.decode([span(0, 0, text.slice(0, 40), 1)])
    const state = runner.saveSequence(0)
    empty(runner)
    expect(runner.restoreSequence(2, state)).toBe(true)
    runner.truncate(2, 25)
    await runner.decode([span(2, 25, text.slice(50, 55), 1)])
    expectSame(runner.logits(0), expected)
    empty(runner)
  })

  test('bytes that are no state of this runner are refused and leave the slot usable', async () => {
    const state = await savedState(runner, text.slice(0, 10))
    const broken = [
      new Uint8Array(0),
      new Uint8Array(3),
      state.subarray(0, state.length - 5),
      state.map((byte) => byte ^ 0xff),
    ]
    for (const bytes of broken) expect(runner.restoreSequence(0, bytes)).toBe(false)
    await logitsAfter(runner, text.slice(0, 5))
  })
}

export function callSuite(open: OpenRunner, kvLayout: 'split' | 'unified'): void {
  let runner: ModelRunner
  let text: number[]
  beforeAll(async () => {
    runner = await open({ ...usual, kvLayout, kvCacheType: 'q8_0' })
    text = sampleTokens(runner)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test('logits may be changed in place and stay so until the next decode', async () => {
    await runner.decode([span(0, 0, text.slice(0, 5), 2)])
    const [first, second] = [runner.logits(0), runner.logits(1)]
    const before = second.slice()
    first.fill(-1)
    expect(runner.logits(0).every((value) => value === -1)).toBe(true)
    expectSame(runner.logits(1), before)
    expect(first.length).toBe(runner.info.vocabularySize)
    empty(runner)
  })

  test('an aborted decode says so, and after truncate the sequence goes on', async () => {
    const expected = await logitsAfter(runner, text.slice(0, 12))
    const long = Array.from({ length: 240 }, (_, i) => text[i % text.length] ?? 0)
    const running = runner.decode([span(0, 0, text.slice(0, 9), 1), span(1, 0, long, 1)])
    runner.abort()
    // A GPU cannot be stopped in the middle of a step.
    const stops = ['cpu', 'simulated'].includes(runner.info.backend)
    expect(stops ? ['aborted'] : ['aborted', 'decoded']).toContain((await running).kind)
    empty(runner)
    expectSame(await logitsAfter(runner, text.slice(0, 12)), expected)
  })

  test('an abort while nothing runs does not touch the next decode', async () => {
    runner.abort()
    expect(await runner.decode([span(0, 0, text.slice(0, 5), 1)])).toMatchObject({ kind: 'decoded' })
    empty(runner)
  })

  test('the event loop stays free during a decode', async () => {
    const long = Array.from({ length: 240 }, (_, i) => text[i % text.length] ?? 0)
    let turns = 0
    const running = runner.decode([span(0, 0, long, 1)])
    const result: { value?: DecodeResult } = {}
    void running.then((value) => (result.value = value))
    while (result.value === undefined) {
      turns++
      await new Promise(setImmediate)
    }
    expect(turns).toBeGreaterThan(0)
    empty(runner)
  })

  test('threads may change between decodes', async () => {
    const before = await logitsAfter(runner, text.slice(0, 12))
    const threads = runner.threads
    runner.setThreads(threads === 1 ? 2 : 1)
    expectSame(await logitsAfter(runner, text.slice(0, 12)), before)
    runner.setThreads(threads)
    expect(runner.threads).toBe(threads)
  })
}
