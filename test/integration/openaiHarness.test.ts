/**
 * The measuring harness itself: a meter that miscounts would make every figure worthless, so its own rules are tested too.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contentOf, isContentFrame, SseSplitter } from '../bench/harness/sse.ts'
import { parseMetrics, total } from '../bench/harness/prometheus.ts'
import { question, wordsOf } from '../bench/harness/prompts.ts'
import { noiseMax, ratio, type Round } from '../bench/harness/rounds.ts'
import { gaps, quantile } from '../bench/harness/statistics.ts'
import { judge, slo } from '../soak/scenarios/goodput.ts'

const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`
const round = (number: number, value: number, others = 0): Round<number> => ({
  number,
  value,
  others,
  wallMs: 1,
  cpuMs: {},
})

describe('the measuring harness', () => {
  test('finds every frame of a stream however reads cut it, and puts its text together again', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(texts, fc.array(fc.nat({ max: 400 }), { maxLength: 20 }), (contents, cuts) => {
        const bytes = Buffer.from(`${contents.map(chunk).join('')}data: [DONE]\n\n`)
        const at = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length]
        const splitter = new SseSplitter()
        at.slice(1).forEach((end, index) => splitter.add(bytes.subarray(at[index], end), index))
        expect(splitter.frames.filter(({ data }) => isContentFrame(data))).toHaveLength(contents.length)
        expect(splitter.frames.at(-1)?.data).toBe('[DONE]')
        expect(contentOf({ frames: splitter.frames, body: '' }).text).toBe(contents.join(''))
      }),
    )
  })

  test('a role chunk or an empty delta is no content', () => {
    expect(isContentFrame('{"choices":[{"delta":{"role":"assistant","content":""}}]}')).toBe(false)
    expect(isContentFrame('{"choices":[{"delta":{},"finish_reason":"stop"}]}')).toBe(false)
  })

  test('prompts are the same for the same seed and differ from the first words on for others', () => {
    expect(wordsOf(5, 40)).toBe(wordsOf(5, 40))
    const starts = Array.from({ length: 200 }, (_, seed) => wordsOf(seed, 6))
    expect(new Set(starts).size).toBe(200)
    expect(question(1)).not.toBe(question(2))
  })

  test('ratios pair the rounds and leave noisy pairs out while three quiet ones remain', () => {
    const ours = [round(0, 10), round(1, 20), round(2, 30), round(3, 1_000, noiseMax + 1)]
    const theirs = [round(0, 5), round(1, 10), round(2, 15), round(3, 1)]
    expect(ratio(ours, theirs, ({ value }) => value)).toEqual({ median: 2, min: 2, max: 2, count: 3 })
  })

  test('quantiles interpolate, gaps are between neighbours', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
    expect(gaps([1, 3, 6])).toEqual([2, 3])
  })

  test('metrics are summed over the series whose labels fit', () => {
    const samples = parseMetrics('# TYPE a counter\na{x="1",y="p"} 2\na{x="2",y="p"} 3\nab 9\n')
    expect(total(samples, 'a', { y: 'p' })).toBe(5)
    expect(total(samples, 'a', { x: '2' })).toBe(3)
  })

  test('the client judges a stream by its first text and its mean time per further token', () => {
    const usage = { data: JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 3 } }), at: 0 }
    const answer = (firstAt: number, lastAt: number) => ({
      status: 200,
      headers: {},
      startedAt: 0,
      firstAt,
      contentAt: [firstAt, lastAt],
      endedAt: lastAt,
      frames: [usage, { data: '[DONE]', at: 0 }],
      body: '',
      done: true,
      error: null,
    })
    expect(judge(answer(slo.ttftMs - 1, slo.ttftMs), true).fate).toBe('good')
    expect(judge(answer(slo.ttftMs + 1, slo.ttftMs + 2), true).fate).toBe('late-first-token')
    expect(judge(answer(1, 2 + 2 * slo.tpotMs), true).fate).toBe('late-tokens')
  })
})
