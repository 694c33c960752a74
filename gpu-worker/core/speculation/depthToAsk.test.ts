import { expect, test } from 'vitest'
import { curveOf } from '#test/simulate/curves.ts'
import { createController } from './createController.ts'
import { depthToAsk } from './depthToAsk.ts'

const step = { promptTokens: 0, rowsMax: 64 }

test.each(['trigram', 'draft'] as const)('%s is asked for branches where paths may fork', (method) => {
  expect(depthToAsk(method, 8, { forksMax: 15 })).toBe(7)
  expect(depthToAsk(method, 8, { forksMax: 0 })).toBe(8)
  expect(depthToAsk(method, 8, {})).toBe(8)
})

test('all others are asked for chains, and one token is always a chain', () => {
  for (const method of ['ngram', 'simulated'] as const) expect(depthToAsk(method, 8, { forksMax: 15 })).toBe(8)
  expect(depthToAsk('trigram', 1, { forksMax: 15 })).toBe(1)
})

const running = [{ key: 1, contextTokens: 64, tokensMax: 8, methods: ['trigram' as const] }]
/** `ms` of 1, 2 and 64 rows. */
const curveWith = (ms: number[]) =>
  curveOf({ rows: [1, 2, 64], contexts: [64], ms: [ms], promptTokensPerSecond: 500, origin: 'measured' })

test('the fixed controller asks so, and the one that knows what rows cost only where they are cheap', () => {
  const asked = (kind: 'fixed' | 'goodput', ms: number[]) => {
    const curve = curveWith(ms)
    const controller = createController(kind, { curve: () => curve, layout: 'unified' })
    const [ask] = controller.asks(running, { ...step, forksMax: 15 })
    expect(ask?.tokensMax).toBeGreaterThan(1)
    return (ask?.tokensMax ?? 0) - (ask?.depthMax ?? 0)
  }
  expect(asked('fixed', [10, 20, 640])).toBe(1)
  expect(asked('goodput', [10, 10.1, 16])).toBe(1)
  expect(asked('goodput', [10, 11, 80])).toBe(0)
})
