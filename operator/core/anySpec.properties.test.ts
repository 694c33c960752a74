/** Whatever the schema takes, the planner takes: it comes to an end, and says where it stands in conditions that the schema takes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ModelDeploymentSpec, ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { anySpec } from '#test/resources/arbitraryResource.ts'
import { replicasWanted } from './observed.ts'
import { planDeployment } from './plan.ts'
import { preview } from './preview.ts'
import { statusOf } from './status.ts'
import { desiredFor, observedOf } from './testing.ts'

const good = anySpec.map((spec) => ModelDeploymentSpec.safeParse(spec).data).filter((spec) => spec !== undefined)

test('any spec that is taken ends as it says, or waits for what it names', () => {
  fc.assert(
    fc.property(good, (spec) => {
      const { end, steps } = preview(observedOf({ desired: desiredFor(spec), model: { kind: 'absent' } }), 0)
      expect(end).toBe('done')
      expect(steps.at(-1)).toMatchObject({ ready: replicasWanted(spec), alive: replicasWanted(spec) })
    }),
    { numRuns: 200 },
  )
})

test('any spec that is taken has conditions that the schema takes, whatever became of its model', () => {
  const models = fc.constantFrom(
    { kind: 'absent' } as const,
    { kind: 'ready', path: '/cache/a.gguf' } as const,
    { kind: 'failed', message: 'tried a, b', retryAt: null } as const,
  )
  fc.assert(
    fc.property(good, models, (spec, model) => {
      const observed = observedOf({ desired: desiredFor(spec), model })
      const status = statusOf(observed, planDeployment(observed, 0), { now: 0, nowIso: '2030-01-01T00:00:00.000Z' })
      expect(ModelDeploymentStatus.safeParse(status).error?.issues ?? []).toEqual([])
      expect(status?.conditions.map(({ type }) => type)).toEqual(
        expect.arrayContaining(['Ready', 'Progressing', 'Degraded']),
      )
    }),
    { numRuns: 200 },
  )
})
