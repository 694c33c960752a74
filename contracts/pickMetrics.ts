/** What routers count of picks, and of the spans they make. */
import { define, type MetricDefinition } from './metricDefinition.ts'

export const pickMetrics = {
  picks: define({
    name: 'paceline_picks_total',
    kind: 'counter',
    help: 'Requests sent to a worker by why it was this one: only (no other had room), held (it holds part of the prompt), meeting (nobody does; requests that begin alike meet there), cheapest (least time), expert (least time, its adapter included).',
    labels: ['model', 'cause'],
  }),
  predictedCachedTokens: define({
    name: 'paceline_predicted_cached_prompt_tokens_total',
    kind: 'counter',
    help: 'Prompt tokens that the chosen worker was thought to hold, of requests that were completed; `paceline_cached_prompt_tokens_total` is what it did hold.',
    labels: ['model'],
  }),
  spans: define({
    name: 'paceline_spans_total',
    kind: 'counter',
    help: 'Spans of traces by what became of them: exported, dropped (there was no room), failed (the receiver did not take them).',
    labels: ['outcome'],
  }),
} as const satisfies Record<string, MetricDefinition>
