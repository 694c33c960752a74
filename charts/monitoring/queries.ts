/** The queries of a dashboard as a test asks them: Grafana's variables filled in. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'

export interface PanelQuery {
  readonly title: string
  readonly legend: string
  readonly query: string
}

export function panelQueries(dashboard: Dashboard): PanelQuery[] {
  return (dashboard.panels ?? []).flatMap((panel) => {
    if (!('targets' in panel)) return []
    return (panel.targets ?? []).map((target) => ({
      title: panel.title ?? '',
      legend: 'legendFormat' in target ? String(target.legendFormat) : '',
      query: 'expr' in target ? String(target.expr) : '',
    }))
  })
}

/** All namespaces, all pairs, and the window that Grafana would choose. */
export function filledIn(query: string, windowSeconds: number): string {
  return query
    .replaceAll('$namespace', '.*')
    .replaceAll('$model', '.*')
    .replaceAll('$__rate_interval', `${windowSeconds}s`)
}
