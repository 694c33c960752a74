/**
 * A cascade of a synthetic pair with a synthetic judge, all of known quality: what comes out must be what can be computed.
 *
 * The small model is right with chance p, the large one with chance q. The judge says "better than the wrong reference" with a chance u,
 * drawn with density 2u for right answers and 2(1 - u) for wrong ones. So over a threshold t of u lie p(1 - t²) + (1 - p)(1 - t)² of the
 * answers, of which the second part is wrong; and a right answer ranks over a wrong one with a chance of 5/6.
 */
import { expect, test } from 'vitest'
import { auroc } from '#algorithms/auroc.ts'
import { chooseThreshold } from '#algorithms/riskBound.ts'
import type { TokenLogprob } from '#contracts/messages.ts'
import { cascadeCurve } from '#test/bench/harness/cascadeReport.ts'
import { createRandom } from '#test/simulate/random.ts'
import { decideStep, newBudget } from './cascade.ts'
import { judgePrompts, type Reference, scoreOfAnswer } from './judgement.ts'

const p = 0.6
const q = 0.85
const keptShare = (t: number) => p * (1 - t * t) + (1 - p) * (1 - t) ** 2
const errorRate = (t: number) => ((1 - p) * (1 - t) ** 2) / keptShare(t)
const accuracy = (t: number) => p * (1 - t * t) + q * (1 - keptShare(t))

const references: Reference[] = [{ question: 'r?', answer: 'wrong', correct: false }]

/** As a judge reports it: the answer stands behind the reference in the first prompt, and before it in the second. */
function said(u: number): TokenLogprob[] {
  const label = (a: number): TokenLogprob => {
    const top = [
      { token: ' A', bytes: [], logprob: Math.log(a) },
      { token: ' B', bytes: [], logprob: Math.log(1 - a) },
      { token: ' C', bytes: [], logprob: Math.log(1e-12) },
    ]
    return { token: ' A', bytes: [], logprob: Math.log(a), top }
  }
  return [label(1 - u), label(u)]
}

interface Asked {
  readonly smallRight: boolean
  readonly largeRight: boolean
  readonly score: number
}

function ask(count: number, seed: number): Asked[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => {
    const smallRight = random.chance(p)
    const v = Math.sqrt(random.next())
    const score = scoreOfAnswer(said(Math.min(1 - 1e-9, Math.max(1e-9, smallRight ? v : 1 - v))), references)
    return { smallRight, largeRight: random.chance(q), score: score ?? Number.NaN }
  })
}

/** Scores run from -1 to 1, u from 0 to 1. */
const scoreAt = (u: number) => 2 * u - 1
const uAt = (score: number) => Math.max(0, (score + 1) / 2)

function served(asked: readonly Asked[], threshold: number) {
  const results = asked.map(({ score, smallRight, largeRight }) => {
    const { kind } = decideStep({
      score,
      threshold,
      next: { firstTokenMs: 0 },
      remainingMs: 1_000,
      budget: newBudget(1),
      whenFull: 'wait',
    })
    return { escalated: kind === 'escalate', right: kind === 'escalate' ? largeRight : smallRight }
  })
  const share = (holds: (result: (typeof results)[number]) => boolean) => results.filter(holds).length / results.length
  return { escalated: share(({ escalated }) => escalated), right: share(({ right }) => right) }
}

/** Four standard errors of a share: one of nine points outside would be seen once in a thousand runs. */
const within = (expected: number, count: number) => 4 * Math.sqrt((expected * (1 - expected)) / count)

test('the prompts are as many as are answered', () => {
  expect(judgePrompts({ question: 'q', answer: 'a' }, references)).toHaveLength(said(0.5).length)
})

test('accuracy and the share that goes on are as computed, at every threshold', () => {
  const count = 20_000
  const asked = ask(count, 1)
  for (const t of [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) {
    const { escalated, right } = served(asked, t === 0 ? -2 : scoreAt(t))
    expect(Math.abs(escalated - (1 - keptShare(t)))).toBeLessThanOrEqual(within(keptShare(t), count) + 1e-9)
    expect(Math.abs(right - accuracy(t))).toBeLessThanOrEqual(within(accuracy(t), count))
  }
})

test('the measured curve of accuracy by the share of large tokens is the computed one, and ends in both models alone', () => {
  const count = 20_000
  const rows = ask(count, 2).map(({ smallRight, largeRight, score }, number) => ({
    row: {
      number,
      smallRight,
      smallTokens: 3,
      meanLogProbability: 0,
      leastLogProbability: 0,
      characters: 1,
      largeRight,
      largeTokens: 3,
      score,
    },
    trust: score,
  }))
  const curve = cascadeCurve({ name: 'synthetic', answers: rows }, 10)
  for (const [i, { largeShare }] of curve.entries()) expect(largeShare).toBeCloseTo(i / 10, 3)
  for (const { largeShare, accuracy: measured } of curve) {
    // The threshold at which so many go on: keptShare falls with t.
    let [low, high] = [0, 1]
    while (high - low > 1e-9) {
      const middle = (low + high) / 2
      if (keptShare(middle) > 1 - largeShare) low = middle
      else high = middle
    }
    expect(Math.abs(measured - accuracy(low))).toBeLessThanOrEqual(within(accuracy(low), count))
  }
  const { area, lower, upper } = auroc(
    rows.map(({ row, trust }) => ({ score: trust, right: row.smallRight })),
    4,
  )
  expect(area).toBeCloseTo(5 / 6, 1)
  expect(lower <= 5 / 6 && upper >= 5 / 6).toBe(true)
})

test('what a calibration of it keeps errs as rarely as proved, in all but a tenth of calibrations', () => {
  const guarantee = { errorRateMax: 0.1, confidence: 0.9 }
  const calibrations = 100
  let broken = 0
  let kept = 0
  for (let seed = 0; seed < calibrations; seed += 1) {
    const choice = chooseThreshold(
      ask(500, 100 + seed).map(({ score, smallRight }) => ({ score, wrong: !smallRight })),
      guarantee,
    )
    if (choice.kind !== 'chosen') continue
    kept += keptShare(uAt(choice.threshold)) / calibrations
    if (errorRate(uAt(choice.threshold)) > guarantee.errorRateMax) broken += 1
  }
  expect(broken / calibrations).toBeLessThanOrEqual(0.1 + 2 * Math.sqrt((0.1 * 0.9) / calibrations))
  // The best threshold that keeps the promise keeps 0.327 of the answers.
  expect(kept).toBeGreaterThan(0.15)
  expect(kept).toBeLessThan(0.327)
})
