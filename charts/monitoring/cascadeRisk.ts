/** The dashboard for "which answers are trusted, and on what grounds?": routes that judge answers before a client sees them. */
import { cascadeSection } from './cascade.ts'
import { dashboard } from './panels.ts'
import { riskSection } from './risk.ts'

export const cascadeRiskDashboard = dashboard({
  uid: 'paceline-cascade-risk',
  title: 'Paceline / Cascade and risk',
  description: 'Which answers of smaller models are kept, why, and what is proved of them.',
  withModel: false,
  sections: [cascadeSection, riskSection],
})
