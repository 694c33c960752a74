import { expect, test } from 'vitest'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { silentLog } from '#runtime/log.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { cascadeSpec, sourcesOf, textsWith } from '../core/calibrations.fixture.ts'
import { readRoute } from '../core/routeStatus.ts'
import { Labels } from '../labels.ts'
import { LocalRoutes } from './routes.ts'

const nowIso = '2026-01-01T00:00:00Z'

test('calibrations come from the files, and are judged again when those change', () => {
  const routes = new LocalRoutes(new Labels({ clock: createFakeClock(), log: silentLog, onLabel: () => undefined }))
  const route = readRoute('helper', { generation: 1, created: 1 }, ModelRouteSpec.parse(cascadeSpec))
  const look = (texts: Readonly<Record<string, string>> | null) => {
    routes.set([{ route, conflict: null }], sourcesOf(texts))
    routes.judge(() => 'ready', nowIso)
    const [state] = routes.states()
    const policy = state?.record?.policy
    const accept = policy?.kind === 'cascade' ? policy.steps[0]?.accept : undefined
    const condition = state?.status?.conditions.find(({ type }) => type === 'CalibrationReady')
    return [condition?.reason, accept?.guarantee.kind]
  }
  expect(look(null)).toEqual(['ReferencesNotUnderstood', 'none'])
  expect(look(textsWith())).toEqual(['Calibrated', 'holds'])
  expect(look(textsWith({ errorRateMax: 0.2 }))).toEqual(['CalibrationStale', 'none'])
})
