/** All dashboards, as the files of the chart. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { cascadeRiskDashboard } from './cascadeRisk.ts'
import { expertsDashboard } from './experts.ts'
import { operatorDashboard } from './operator.ts'
import { overview } from './overview.ts'
import { pair } from './pair.ts'
import { routesDashboard } from './routes.ts'

/** File name → dashboard. */
export const dashboards: Readonly<Record<string, Dashboard>> = {
  'overview.json': overview,
  'pair.json': pair,
  'operator.json': operatorDashboard,
  'routes.json': routesDashboard,
  'experts.json': expertsDashboard,
  'cascade-risk.json': cascadeRiskDashboard,
}

export const dashboardText = (dashboard: Dashboard): string => `${JSON.stringify(dashboard, null, 2)}\n`
