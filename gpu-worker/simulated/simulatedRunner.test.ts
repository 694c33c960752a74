import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fault } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import { createSimulatedRunner, type SimulatedRunnerOptions } from './simulatedRunner.ts'
import { endOfGeneration, pieceOf, tokenize, tokens } from './vocabulary.ts'

/** A clock that jumps straight to each timer: what is awaited takes no time, and `now` says how long it would have. */
function jumpingClock(): Clock {
  let now = 0
  return {
    now: () => now,
    after(ms, action) {
      let cancelled = false
      queueMicrotask(() => {
        if (cancelled) return
        now += ms
        action()
      })
      return { cancel: () => void (cancelled = true) }
    },
    every: () => ({ cancel() {} }),
  }
}

const runner = (options: Partial<SimulatedRunnerOptions> = {}) =>
  createSimulatedRunner({
    promptTokensPerSecond: 1_000,
    stepMs: 10,
    rowMs: 2,
    acceptance: 1,
    draftTokens: 0,
    seed: 7,
    faults: [],
    slots: 4,
    contextTokensMax: 256,
    kvLayout: 'split',
    clock: jumpingClock(),
    ...options,
  })

const oneToken = [{ slot: 0, position: 0, tokens: [260], logitsForLast: 1 }]
const argmax = (row: Float32Array) => row.reduce((best, value, i) => (value > (row[best] ?? 0) ? i : best), 0)

test('a step takes stepMs, rowMs for each further row and the time of its prompt tokens', async () => {
  const prompt = { slot: 1, position: 0, tokens: Array<number>(51).fill(256), logitsForLast: 1 }
  const result = await runner().decode([...oneToken, prompt])
  expect(result).toEqual({ kind: 'decoded', rows: 2, decodeMs: 10 + 2 + 50 })
})

test('a step of 0 ms answers at once, prompt and all', async () => {
  const prompt = { slot: 0, position: 0, tokens: Array<number>(200).fill(256), logitsForLast: 1 }
  expect(await runner({ stepMs: 0 }).decode([prompt])).toEqual({ kind: 'decoded', rows: 1, decodeMs: 0 })
})

test('any text comes back from its tokens', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.boolean(), (text, parseSpecial) => {
      const pieces = tokenize(text, { parseSpecial: false }).map((token) => pieceOf(token))
      expect(Buffer.concat(pieces).toString()).toBe(text)
      expect(tokenize(`${text}<|im_end|>`, { parseSpecial }).at(-1) === tokens.messageEnd).toBe(parseSpecial)
    }),
  )
})

test('it ends only after " the end."', async () => {
  const ending = runner().tokenize(' to the end.', { parseSpecial: false, addBegin: false })
  const subject = runner()
  await subject.decode([{ slot: 0, position: 0, tokens: ending, logitsForLast: ending.length }])
  const best = ending.map((_, row) => argmax(subject.logits(row)))
  expect(best.map((token) => endOfGeneration.includes(token))).toEqual([false, false, false, true])
})

const always = (kind: Fault['kind'], amount = 1): Partial<SimulatedRunnerOptions> => ({
  faults: [{ kind, probability: 1, amount }],
})

test('a stalled step takes its extra time, a slow one its factor', async () => {
  expect(await runner(always('stall', 500)).decode(oneToken)).toMatchObject({ decodeMs: 510 })
  expect(await runner(always('slow', 3)).decode(oneToken)).toMatchObject({ decodeMs: 30 })
})

test('a crash calls the injected end and never answers', async () => {
  let crashes = 0
  let answered = false
  void runner({ ...always('crash'), crash: () => void crashes++ })
    .decode(oneToken)
    .then(() => void (answered = true))
  await new Promise(setImmediate)
  expect({ crashes, answered }).toEqual({ crashes: 1, answered: false })
})

test('garbage is a failed step or rows of NaN, both from one seed', async () => {
  const outcomes = new Set<string>()
  for (let seed = 0; seed < 20; seed++) {
    const subject = runner({ ...always('garbage'), seed })
    const kind = await subject.decode(oneToken).then(
      () => (subject.logits(0).every(Number.isNaN) ? 'not-a-number' : 'fine'),
      (failure: { code: string }) => failure.code,
    )
    outcomes.add(kind)
  }
  expect(outcomes).toEqual(new Set(['engine-fault', 'not-a-number']))
})

test('refusals are drawn per request with their probability', () => {
  expect(runner().refuses?.()).toBe(false)
  expect(runner(always('refuse')).refuses?.()).toBe(true)
})

test('the same seed replays the same faults', async () => {
  const history = async () => {
    const subject = runner({ faults: [{ kind: 'slow', probability: 0.3, amount: 2 }] })
    const steps: number[] = []
    for (let position = 0; position < 50; position++) {
      const result = await subject.decode([{ slot: 0, position, tokens: [260], logitsForLast: 1 }])
      if (result.kind === 'decoded') steps.push(result.decodeMs)
    }
    return steps
  }
  expect(await history()).toEqual(await history())
  expect(new Set(await history())).toEqual(new Set([10, 20]))
})
