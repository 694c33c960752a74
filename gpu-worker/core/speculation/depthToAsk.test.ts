import { expect, test } from 'vitest'
import { curveOf, curves } from '#test/simulate/curves.ts'
import { createController } from './createController.ts'
import { depthToAsk } from './depthToAsk.ts'

const step = { promptTokens: 0, rowsMax: 64 }

test.each(['trigram', 'draft'] as const)('%s is asked for branches where paths may fork', (method) => {
  expect(depthToAsk(method, 8, { ...step, forksMax: 15 })).toBe(7)
  expect(depthToAsk(method, 8, { ...step, forksMax: 0 })).toBe(8)
  expect(depthToAsk(method, 8, step)).toBe(8)
})

test('all others are asked for chains, and one token is always a chain', () => {
  for (const method of ['ngram', 'simulated'] as const) expect(depthToAsk(method, 8, { ...step, forksMax: 15 })).toBe(8)
  expect(depthToAsk('trigram', 1, { ...step, forksMax: 15 })).toBe(1)
})

test.each(['fixed', 'goodput'] as const)('the controller %s asks so', (kind) => {
  const controller = createController(kind, { curve: () => curveOf(curves.billionQ8), layout: 'unified' })
  const running = [{ key: 1, contextTokens: 64, tokensMax: 8, methods: ['trigram' as const] }]
  const [ask] = controller.asks(running, { ...step, forksMax: 15 })
  expect(ask?.tokensMax).toBeGreaterThan(1)
  expect(ask?.depthMax).toBe((ask?.tokensMax ?? 0) - 1)
})
