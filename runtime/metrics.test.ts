import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'
import { createMetrics } from './metrics.ts'

test('every metric of every part can be exported and starts without series of unknown labels', async () => {
  for (const definitions of [workerMetrics, routerMetrics, operatorMetrics]) {
    const text = await createMetrics(definitions, { processMetrics: false }).text()
    for (const { name } of Object.values(definitions)) expect(text).toContain(`# TYPE ${name} `)
  }
})

test('label values beyond the bound are counted as other', async () => {
  const metrics = createMetrics(routerMetrics, { processMetrics: false })
  for (let i = 0; i < limits.metrics.labelValuesMax + 50; i++) metrics.queueDepth.set({ model: `m${i}` }, 1)
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('paceline_queue_depth{'))
  expect(lines).toHaveLength(limits.metrics.labelValuesMax + 1)
  expect(lines.some((line) => line.includes('model="other"'))).toBe(true)
})
