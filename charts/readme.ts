/** The chart's README, from values.yaml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { valueKeys } from './valuesTable.ts'

export function chartReadme(root: string): string {
  const keys = valueKeys(readFileSync(join(root, 'charts', 'paceline', 'values.yaml'), 'utf8'))
  const rows = keys.map(({ path, comment, value }) =>
    value === null
      ? `| **\`${path}\`** | | ${cell(comment)} |`
      : `| \`${path}\` | \`${cell(value)}\` | ${cell(comment)} |`,
  )
  return `${[
    '# Chart `paceline`',
    '<!-- Generated from charts/paceline/values.yaml by `npm run generate`; edit that instead. -->',
    introduction,
    '## Values',
    ['| key | default | meaning |', '| --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n')}\n`
}

const introduction = `Operator, router and NATS of Paceline in one namespace; workers are made by the operator as pairs are applied.
How to install, upgrade and remove it: [install on Kubernetes](../../docs/install-on-kubernetes.md).

    helm install paceline charts/paceline --namespace paceline --create-namespace

A key that is not in the table is refused. Give secrets as names of Secrets; the chart makes those that nobody names, once, and keeps
them at upgrades.`

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ')
