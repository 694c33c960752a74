import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { chooseVictim, planMove, planSpans, type SlotView, type SpanLimits } from './scheduler.ts'

const limits: SpanLimits = {
  batchTokensMax: 2_048,
  chunkTokensMax: 256,
  idleChunkTokensMax: 512,
}
const running = (slot: number, length = 100): SlotView => ({ slot, number: slot, computed: length - 1, length })
const prompt = (slot: number, length: number, number = slot): SlotView => ({ slot, number, computed: 0, length })
const brief = (views: SlotView[], more: Partial<SpanLimits> = {}) =>
  planSpans(views, { ...limits, ...more }).map((span) => [span.slot, span.position, span.count, span.samples])

/** Carries plans out until every prompt is computed; running sequences gain a token per step. */
function carryOut(views: SlotView[], bounds: SpanLimits): { steps: ReturnType<typeof planSpans>[]; views: SlotView[] } {
  const steps: ReturnType<typeof planSpans>[] = []
  let now = views
  const isComputed = (view: SlotView, i: number) => view.computed >= (views[i]?.length ?? 0)
  while (!now.every(isComputed)) {
    const spans = planSpans(now, bounds)
    steps.push(spans)
    const bySlot = new Map(spans.map((span) => [span.slot, span]))
    now = now.map((view) => {
      const span = bySlot.get(view.slot)
      if (span === undefined) return view
      const length = view.length + (span.samples ? 1 : 0)
      return { ...view, computed: view.computed + span.count, length }
    })
  }
  return { steps, views: now }
}

test('running sequences get one token each, in order of their slots', () => {
  expect(brief([running(2), running(0), running(1)])).toEqual([
    [0, 99, 1, true],
    [1, 99, 1, true],
    [2, 99, 1, true],
  ])
})

test('a long prompt beside running streams takes one chunk per step', () => {
  const { steps } = carryOut([running(0), running(1), prompt(2, 600)], limits)
  expect(steps.map((spans) => spans.map((span) => span.count))).toEqual([
    [1, 1, 256],
    [1, 1, 256],
    [1, 1, 88],
  ])
  expect(steps.map((spans) => spans[2]?.samples)).toEqual([false, false, true])
})

test('a prompt alone takes whole micro-batches', () => {
  const { steps } = carryOut([prompt(0, 1_000)], limits)
  expect(steps.map((spans) => spans.map((span) => span.count))).toEqual([[512], [488]])
})

test('a short prompt is complete in its first step although a long one came before it', () => {
  expect(brief([running(0), prompt(1, 2_000), prompt(2, 60)])).toEqual([
    [0, 99, 1, true],
    [1, 0, 196, false],
    [2, 0, 60, true],
  ])
})

test('the oldest prompt gets half of the chunk however many short ones come after it', () => {
  const short = Array.from({ length: 6 }, (_, i) => prompt(2 + i, 100))
  expect(brief([running(0), prompt(1, 2_000), ...short])).toEqual([
    [0, 99, 1, true],
    [1, 0, 128, false],
    [2, 0, 100, true],
    [3, 0, 28, false],
  ])
})

const arbitraryViews = fc
  .array(fc.record({ length: fc.integer({ min: 2, max: 700 }), isRunning: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((list) => list.map(({ length, isRunning }, slot) => (isRunning ? running(slot, length) : prompt(slot, length))))

test('every prompt token is computed exactly once, in order, and exactly one row of a prompt samples', () => {
  fc.assert(
    fc.property(arbitraryViews, fc.integer({ min: 1, max: 300 }), (views, chunkTokensMax) => {
      const { steps } = carryOut(views, { ...limits, chunkTokensMax })
      for (const view of views.filter(({ length, computed }) => length - computed > 1)) {
        let next = 0
        for (const span of steps.flat().filter(({ slot, position }) => slot === view.slot && position < view.length)) {
          expect(span.position).toBe(next)
          next += span.count
          expect(span.samples).toBe(next >= view.length)
        }
        expect(next).toBe(view.length)
      }
    }),
  )
})

test('no step holds more prompt tokens than a chunk while anything runs, nor a slot twice, and slots ascend', () => {
  fc.assert(
    fc.property(arbitraryViews, fc.integer({ min: 1, max: 300 }), (views, chunkTokensMax) => {
      const { steps } = carryOut(views, { ...limits, chunkTokensMax })
      for (const spans of steps) {
        const slots = spans.map((span) => span.slot)
        expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b))
        const prompts = spans.filter((span) => span.count > 1 || !span.samples)
        const tokens = prompts.reduce((sum, span) => sum + span.count, 0)
        const isAlone = prompts.length === spans.length
        expect(tokens).toBeLessThanOrEqual(isAlone ? limits.idleChunkTokensMax : chunkTokensMax)
      }
    }),
  )
})

test('nobody starves: each step takes every running sequence and moves the oldest prompt on', () => {
  fc.assert(
    fc.property(arbitraryViews, fc.integer({ min: 1, max: 300 }), (views, chunkTokensMax) => {
      const spans = planSpans(views, { ...limits, chunkTokensMax })
      const slots = new Set(spans.map((span) => span.slot))
      for (const view of views) if (view.length - view.computed === 1) expect(slots.has(view.slot)).toBe(true)
      const oldest = views.filter((view) => view.length - view.computed > 1).sort((a, b) => a.number - b.number)[0]
      if (oldest !== undefined) expect(slots.has(oldest.slot)).toBe(true)
    }),
  )
})

test('the youngest sequence is the victim, and a lone one is none', () => {
  expect(chooseVictim([running(0), { ...running(1), number: 9 }, running(2)])).toBe(1)
  expect(chooseVictim([running(0)])).toBeNull()
})

const costs = { stepMs: (rows: number) => 4 + rows, copyMs: (cells: number) => cells / 300 }

test('a sequence beside a hole moves into it', () => {
  expect(planMove([running(0), running(2), running(5)], costs)).toEqual({ from: 5, to: 1 })
  expect(planMove([running(2), running(4)], costs)).toEqual({ from: 4, to: 3 })
  expect(planMove([running(0), running(5), running(6), running(7)], costs)).toEqual({ from: 0, to: 4 })
})

test('nothing moves where there is no hole, or where copying costs more than the coming steps save', () => {
  expect(planMove([running(0), running(1)], costs)).toBeNull()
  expect(planMove([], costs)).toBeNull()
  expect(planMove([running(0), { ...running(2), computed: 100_000 }], costs)).toBeNull()
})

test('moves end with consecutive ids', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 16 }), (slots) => {
      let now = slots.map((slot) => running(slot))
      for (let moves = 0; moves <= slots.length; moves++) {
        const move = planMove(now, costs)
        if (move === null) break
        now = now.map((view) => (view.slot === move.from ? { ...view, slot: move.to } : view))
      }
      const ids = now.map((view) => view.slot).sort((a, b) => a - b)
      expect(ids).toEqual(ids.map((_, i) => (ids[0] ?? 0) + i))
    }),
  )
})

test('where no row may be left alone, prompts get one token or the same number of at least three', () => {
  const even = { ...limits, evenChunks: true }
  expect(brief([running(0), prompt(1, 2), prompt(2, 9), prompt(3, 50)], even)).toEqual([
    [0, 99, 1, true],
    [1, 0, 1, false],
    [2, 0, 9, true],
    [3, 0, 9, false],
  ])
  const views = fc.array(fc.integer({ min: 2, max: 700 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(views, (lengths) => {
      const { steps } = carryOut(
        lengths.map((length, slot) => prompt(slot, length)),
        even,
      )
      for (const step of steps) {
        const counts = new Set(step.map(({ count }) => count).filter((count) => count > 1))
        expect(counts.size).toBeLessThanOrEqual(1)
        expect(counts.has(2)).toBe(false)
      }
    }),
  )
})
