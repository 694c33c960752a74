/** What of the chart is generated: path from the root → how its text is made. */
import { alertRules } from '../../charts/monitoring/alerts.ts'
import { dashboards, dashboardText } from '../../charts/monitoring/dashboards.ts'
import { chartNatsUsers } from '../../charts/natsUsers.ts'
import { chartReadme } from '../../charts/readme.ts'
import { valuesSchema } from '../../charts/valuesSchema.ts'

const chart = 'charts/paceline'

export const chartFiles: Readonly<Record<string, (root: string) => string>> = {
  [`${chart}/README.md`]: chartReadme,
  [`${chart}/values.schema.json`]: valuesSchema,
  [`${chart}/files/nats-users.conf`]: chartNatsUsers,
  [`${chart}/files/alerts.yaml`]: alertRules,
  ...Object.fromEntries(
    Object.entries(dashboards).map(([name, dashboard]) => [
      `${chart}/dashboards/${name}`,
      () => dashboardText(dashboard),
    ]),
  ),
}
