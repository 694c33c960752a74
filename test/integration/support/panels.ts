/** Every query of every dashboard, named for a test, and which of them an undisturbed system with simulated engines that draft leaves empty. */
import { dashboards } from '../../../charts/monitoring/dashboards.ts'
import { type PanelQuery, panelQueries } from '../../../charts/monitoring/queries.ts'

export interface Panel extends PanelQuery {
  readonly name: string
  /** Panel and legend, by which the lists of empty ones name it. */
  readonly key: string
}

export const panels: readonly Panel[] = Object.entries(dashboards).flatMap(([file, dashboard]) =>
  panelQueries(dashboard).map((panel) => ({
    ...panel,
    name: `${file}: ${panel.title} ${panel.legend}`,
    key: `${panel.title} ${panel.legend}`,
  })),
)

/** Key → why there is no such series. */
export const emptyPanels: Readonly<Record<string, string>> = {
  'Faults that were mended retry: {{cause}}': 'nothing had to be tried again',
  'Faults that were mended re-send: {{cause}}': 'no message was lost',
  'Held for a sleeping pair {{model}} held': 'no pair sleeps',
  'Held for a sleeping pair {{model}} seconds (p95)': 'no pair sleeps',
  'Workers started again {{deployment}}': 'no worker ended by itself',
  'Model downloads {{result}}': 'the simulated engine loads no model',
  'Labels since {{route}} correct: {{correct}} per second': 'nobody said whether a kept answer was right',
  'Spans of traces {{outcome}}': 'nothing is traced unless somebody asks for it',
}

/** What a list names that is on no dashboard (any more). */
export const unknownIn = (list: Readonly<Record<string, string>>): string[] =>
  Object.keys(list).filter((key) => !panels.some((panel) => panel.key === key))
