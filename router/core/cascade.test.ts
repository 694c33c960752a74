import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeploymentName } from '#contracts/ids.ts'
import {
  afterEscalation,
  afterRequest,
  decideStep,
  type EscalationBudget,
  mayEscalate,
  newBudget,
  type StepFacts,
  thresholdOf,
  type WhenFull,
} from './cascade.ts'

const facts: StepFacts = {
  score: 0.2,
  threshold: 0.5,
  next: { firstTokenMs: 100 },
  remainingMs: 1_000,
  budget: newBudget(0.5),
  whenFull: 'answer',
}
const said = (changes: Partial<StepFacts>) => {
  const { kind, cause } = decideStep({ ...facts, ...changes })
  return `${kind}: ${cause}`
}
const spent: EscalationBudget = { rateMax: 0.5, burst: 10, credit: 0.5 }

describe('an answer', () => {
  test('over the threshold is kept; on it or below it goes on', () => {
    expect(said({ score: 0.51 })).toBe('keep: reliable')
    expect(said({ score: 0.5 })).toBe('escalate: unreliable')
    expect(said({})).toBe('escalate: unreliable')
  })

  test('of the last step is kept, whatever it is worth', () => {
    expect(said({ next: null, score: null, threshold: null })).toBe('keep: last-step')
  })

  test('that nobody judged, or for which nothing is calibrated, goes on: no doubt is resolved by keeping', () => {
    expect(said({ score: null })).toBe('escalate: unjudged')
    expect(said({ threshold: null, score: 1 })).toBe('escalate: uncalibrated')
  })

  test.each([
    ['answer', 'keep: no-worker', 'keep: too-late', 'keep: over-budget'],
    ['wait', 'refuse: no-worker', 'escalate: unreliable', 'refuse: over-budget'],
    ['refuse', 'refuse: no-worker', 'refuse: too-late', 'refuse: over-budget'],
  ] as const)('that cannot go on: %s', (whenFull, noWorker, tooLate, overBudget) => {
    expect(said({ whenFull, next: { firstTokenMs: null } })).toBe(noWorker)
    expect(said({ whenFull, next: { firstTokenMs: 1_001 } })).toBe(tooLate)
    expect(said({ whenFull, budget: spent })).toBe(overBudget)
  })

  test('and comes too late besides is over the budget first: waiting is no way round it', () => {
    const late = { budget: spent, next: { firstTokenMs: 1_001 } }
    expect(said({ ...late, whenFull: 'wait' })).toBe('refuse: over-budget')
    expect(said({ ...late, whenFull: 'wait', threshold: null })).toBe('escalate: uncalibrated')
  })

  test('of which nothing is proved goes on over any budget', () => {
    expect(said({ threshold: null, budget: spent })).toBe('escalate: uncalibrated')
  })

  test('that is good enough never asks whether the next step has room', () => {
    const good = { score: 0.9, next: { firstTokenMs: null }, budget: spent }
    for (const whenFull of ['answer', 'wait', 'refuse'] as const)
      expect(said({ ...good, whenFull })).toBe('keep: reliable')
  })

  test('counts for the calibrated error rate exactly where it was kept for its score', () => {
    const any = fc.record({
      score: fc.option(fc.double({ min: -1, max: 1, noNaN: true })),
      threshold: fc.option(fc.double({ min: -1, max: 1, noNaN: true })),
      next: fc.option(fc.record({ firstTokenMs: fc.option(fc.integer({ min: 0, max: 3_000 })) })),
      remainingMs: fc.integer({ min: -100, max: 3_000 }),
      budget: fc.record({
        rateMax: fc.constant(0.3),
        burst: fc.constant(5),
        credit: fc.double({ min: 0, max: 5, noNaN: true }),
      }),
      whenFull: fc.constantFrom<WhenFull>('answer', 'wait', 'refuse'),
    })
    fc.assert(
      fc.property(any, (given) => {
        const { kind, cause, isGuaranteed } = decideStep(given)
        expect(isGuaranteed).toBe(cause === 'reliable')
        if (isGuaranteed) expect(kind).toBe('keep')
        if (given.next === null) expect(kind).toBe('keep')
      }),
    )
  })
})

test('a proof of one file says nothing of another, nor of one that nobody can name', () => {
  const judge = DeploymentName.parse('judge')
  const guarantee = {
    kind: 'holds',
    calibration: 'c'.repeat(64),
    threshold: 0.5,
    errorRateMax: 0.1,
    confidence: 0.9,
  } as const
  const accept = (models: { step?: string }) => ({
    judge,
    references: [],
    prior: null,
    guarantee: { ...guarantee, models },
  })
  expect(thresholdOf(accept({ step: 'a' }), { step: 'a', judge: undefined })).toBe(0.5)
  expect(thresholdOf(accept({ step: 'a' }), { step: 'b', judge: undefined })).toBeNull()
  expect(thresholdOf(accept({ step: 'a' }), { step: undefined, judge: undefined })).toBeNull()
  expect(thresholdOf(accept({}), { step: 'b', judge: undefined })).toBe(0.5)
})

describe('a budget', () => {
  test('lets no run of requests escalate more than its rate and its burst', () => {
    const rate = fc.double({ min: 0.01, max: 1, noNaN: true })
    const wishes = fc.array(fc.boolean(), { minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(rate, wishes, fc.nat({ max: 299 }), (rateMax, wanted, from) => {
        let budget = newBudget(rateMax, 4)
        const escalated = wanted.map((wants) => {
          budget = afterRequest(budget)
          if (!wants || !mayEscalate(budget)) return 0
          budget = afterEscalation(budget)
          return 1
        })
        const run = escalated.slice(Math.min(from, wanted.length - 1))
        const count = run.reduce<number>((sum, one) => sum + one, 0)
        expect(count).toBeLessThanOrEqual(rateMax * run.length + 4 + 1e-6)
      }),
    )
  })

  test('is kept over several routers, whoever is asked: each adds its burst and no more', () => {
    const chosen = fc.array(fc.nat({ max: 2 }), { minLength: 500, maxLength: 500 })
    fc.assert(
      fc.property(fc.double({ min: 0.05, max: 0.95, noNaN: true }), chosen, (rateMax, routers) => {
        const burst = 4
        const budgets = [0, 1, 2].map(() => newBudget(rateMax, burst))
        let escalations = 0
        for (const router of routers) {
          const budget = afterRequest(budgets[router] ?? newBudget(rateMax, burst))
          const may = mayEscalate(budget)
          budgets[router] = may ? afterEscalation(budget) : budget
          if (may) escalations += 1
        }
        expect(escalations).toBeLessThanOrEqual(rateMax * routers.length + 3 * burst + 1e-6)
        expect(escalations).toBeGreaterThanOrEqual(rateMax * routers.length - 3)
      }),
    )
  })

  test('of 1 is never spent, and of 0 is the burst and nothing after it', () => {
    let free = { ...newBudget(1), credit: 0 }
    let none = newBudget(0, 2)
    const escalations = { free: 0, none: 0 }
    for (let i = 0; i < 50; i += 1) {
      free = afterRequest(free)
      if (mayEscalate(free)) {
        escalations.free += 1
        free = afterEscalation(free)
      }
      none = afterRequest(none)
      if (mayEscalate(none)) {
        escalations.none += 1
        none = afterEscalation(none)
      }
    }
    expect(escalations).toEqual({ free: 50, none: 2 })
  })

  test('a quiet time saves up no more than the burst', () => {
    let budget = { ...newBudget(0.5, 3), credit: 0 }
    for (let i = 0; i < 100; i += 1) budget = afterRequest(budget)
    expect(budget.credit).toBe(3)
  })
})
