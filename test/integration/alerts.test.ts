/** The alerts as Prometheus' own tool sees them: well-formed, and each one fires when it should and only then. */
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { alertRules, alerts, withMarks } from '../../charts/monitoring/alerts.ts'
import { courses, namespace } from './support/alertCourses.ts'
import { at, render, whyNoHelm } from './support/helm.ts'
import { findPromtool, runPromtool } from './support/prometheus.ts'

const noPromtool = findPromtool() === null
if (noPromtool) console.warn('alerts are not tested: no promtool on PATH or in the cache (npm test gets it)')

const Rules = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          labels: z.record(z.string(), z.string()),
          annotations: z.record(z.string(), z.string()),
        }),
      ),
    }),
  ),
})
const thresholds = { errorRatioWarning: 0.05, errorRatioCritical: 0.2, goodputTarget: 0.9, acceptanceMin: 0.2 }
const rules = withMarks(alertRules(), { ...thresholds, namespace, runbookUrl: 'https://example.com/runbook' })
const parsed = Rules.parse(parse(rules)).groups.flatMap((group) => group.rules)

describe.skipIf(noPromtool)('alerts', () => {
  test('are rules that promtool accepts', () => {
    expect(runPromtool(['check', 'rules', 'rules.yaml'], { 'rules.yaml': rules })).toMatchObject({ code: 0 })
  })

  test.each(courses)('$name', (course) => {
    const names = alerts.map(({ name }) => name)
    const unit = {
      rule_files: ['rules.yaml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: Object.entries(course.series).map(([series, values]) => ({ series, values })),
          alert_rule_test: names.map((alertname) => ({
            eval_time: course.at,
            alertname,
            exp_alerts: (course.fires[alertname] ?? []).map((labels) => expected(alertname, labels)),
          })),
        },
      ],
    }
    // What a message says is compared by promtool too; values in it are not ours to foresee here.
    const silent = rules.replaceAll(/\{\{ \$value[^}]*\}\}/g, 'VALUE')
    const { code, output } = runPromtool(['test', 'rules', 'unit.yaml'], {
      'rules.yaml': silent,
      'unit.yaml': JSON.stringify(unit),
    })
    expect(code, output).toBe(0)
  })

  test('are each seen to fire', () => {
    const fired = new Set(courses.flatMap(({ fires }) => Object.keys(fires)))
    expect(alerts.map(({ name }) => name).filter((name) => !fired.has(name))).toEqual([])
  })
})

describe.skipIf(whyNoHelm() !== null || noPromtool)('the PrometheusRule of the chart', () => {
  test('holds these alerts with the thresholds of the values', () => {
    const rule = render(
      { monitoring: { prometheusRule: { enabled: true, thresholds: { goodputTarget: 0.75 } } } },
      { namespace },
    )
    const spec = JSON.stringify(at(rule.object('PrometheusRule', 'paceline'), 'spec'))
    expect(spec).toContain('< 0.75')
    expect(spec).not.toMatch(/@\w+@/)
    expect(runPromtool(['check', 'rules', 'rules.json'], { 'rules.json': spec })).toMatchObject({ code: 0 })
  })
})

function expected(alertname: string, labels: Readonly<Record<string, string>>) {
  const rule = parsed.find(({ alert }) => alert === alertname)
  const filled = (text: string) =>
    text
      .replaceAll(/\{\{ \$value[^}]*\}\}/g, 'VALUE')
      .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => labels[name] ?? '')
  return {
    exp_labels: { namespace, severity: rule?.labels['severity'], ...labels },
    exp_annotations: Object.fromEntries(
      Object.entries(rule?.annotations ?? {}).map(([key, text]) => [key, filled(text)]),
    ),
  }
}
