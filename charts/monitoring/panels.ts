/**
 * How every panel and dashboard looks: Prometheus as a variable, one unit per panel, a description that says what to do with it.
 */
import {
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import { LegendDisplayMode, LegendPlacement, SortOrder } from '@grafana/grafana-foundation-sdk/common'
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'
import { type MetricDefinition, routerMetrics } from '#contracts/metrics.ts'
import type { LabelOf } from './promql.ts'

/** Grafana's own: long enough for four scrapes. */
export const window = '$__rate_interval'
const namespace = '=~"$namespace"'
const chosen = '=~"$model"'
/** What the variables at the top choose, for metrics of each part. */
export const scope = {
  router: { namespace, model: chosen },
  worker: { namespace, model_name: chosen },
  operator: { namespace },
  deployment: { namespace, deployment: chosen },
  part: { namespace },
} as const

type Unit = 's' | 'reqps' | 'percentunit' | 'short' | 'bytes' | 'ops' | 'none' | 'Bps'

export interface Line {
  readonly query: string
  /** `{{label}}` is filled in by Grafana. */
  readonly legend: string
}

export interface PanelOptions {
  readonly title: string
  /** What it shows, and what a bad value means. */
  readonly description: string
  readonly unit: Unit
  readonly lines: readonly Line[]
  /** A single figure instead of curves. */
  readonly figure?: true
  readonly width?: number
}

export interface Section {
  readonly title: string
  readonly panels: readonly PanelOptions[]
}

const source = { type: 'prometheus', uid: '${datasource}' } as const

export function dashboard(options: {
  uid: string
  title: string
  description: string
  withModel: boolean
  sections: readonly Section[]
}): Dashboard {
  const builder = new DashboardBuilder(options.title)
    .uid(options.uid)
    .description(options.description)
    .tags(['paceline'])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('namespace', 'Namespace', routerMetrics.natsConnected, 'namespace'))
  if (options.withModel) builder.withVariable(choice('model', 'Pair', routerMetrics.workers, 'model'))
  let id = 0
  for (const { title, panels } of options.sections) {
    builder.withRow(new RowBuilder(title).id((id += 1)))
    for (const panel of panels) builder.withPanel((panel.figure ? figure(panel) : curves(panel)).id((id += 1)))
  }
  return builder.build()
}

function choice<const M extends MetricDefinition>(name: string, label: string, metric: M, of: LabelOf<M>) {
  return (
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(source)
      .query(`label_values(${metric.name}, ${of})`)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // Matches series without the label too: a Prometheus outside the cluster has no namespace.
      .allValue('.*')
      .current({ text: 'All', value: '$__all' })
  )
}

function curves(panel: PanelOptions) {
  return new TimeseriesBuilder()
    .title(panel.title)
    .description(panel.description)
    .datasource(source)
    .unit(panel.unit)
    .min(0)
    .span(panel.width ?? 12)
    .height(8)
    .lineWidth(1)
    .fillOpacity(10)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(panel.lines.map(target))
}

function figure(panel: PanelOptions) {
  return new StatBuilder()
    .title(panel.title)
    .description(panel.description)
    .datasource(source)
    .unit(panel.unit)
    .span(panel.width ?? 4)
    .height(4)
    .targets(panel.lines.map(target))
}

function target({ query, legend }: Line, index: number) {
  return new DataqueryBuilder()
    .datasource(source)
    .expr(query)
    .legendFormat(legend)
    .refId(String.fromCodePoint('A'.charCodeAt(0) + index))
}
