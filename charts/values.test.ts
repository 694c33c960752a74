import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  KubernetesPlatformConfig,
  LeaseConfig,
  ModelCacheConfig,
  OperatorConfig,
  WorkerPodConfig,
} from '#contracts/operatorConfig.ts'
import { RouterConfig, RouterLimits } from '#contracts/routerConfig.ts'
import { version } from '#runtime/version.ts'
import { ChartValues } from './values.ts'
import { valueKeys } from './valuesTable.ts'

const chart = join(import.meta.dirname, 'paceline')
const text = readFileSync(join(chart, 'values.yaml'), 'utf8')
const values: unknown = parse(text)
const keys = valueKeys(text)

describe('values.yaml', () => {
  test('satisfies its schema', () => {
    expect(ChartValues.safeParse(values).error).toBeUndefined()
  })

  test('holds every key of the schema: a default for each', () => {
    expect(keys.map(({ path }) => path).toSorted()).toEqual(schemaKeys(ChartValues).toSorted())
  })

  test('explains every key', () => {
    const silent = keys.filter(({ comment, value }) => comment === '' && value !== null).map(({ path }) => path)
    expect(silent).toEqual([])
  })

  test('refuses what nobody knows', () => {
    const wrong = ChartValues.safeParse({ ...(values as object), replicas: 3 })
    expect(wrong.error?.issues[0]?.message).toContain('replicas')
  })
})

describe('what a part can be told', () => {
  const templates = ['_operatorConfig.tpl', '_routerConfig.tpl']
    .map((name) => readFileSync(join(chart, 'templates', name), 'utf8'))
    .join('\n')
  /** Setting → why no value of the chart reaches it. */
  const withoutValue: Readonly<Record<string, string>> = {
    kubeconfig: 'a pod has its service account',
    command: 'belongs to the image',
    natsUrl: 'pods reach NATS where the operator does',
    identity: 'the name of the pod',
    router: 'drawn at start',
    workerNatsUser: 'the chart makes the user',
    headersTimeoutMs: 'bounds of the socket, not of a service',
    requestTimeoutMs: 'bounds of the socket, not of a service',
  }

  test('can be said in values.yaml, or there is a reason why not', () => {
    const settings = [
      OperatorConfig,
      KubernetesPlatformConfig,
      WorkerPodConfig,
      ModelCacheConfig,
      RouterConfig,
      RouterLimits,
    ]
      .flatMap((schema) => Object.keys(schema.shape))
      .concat(Object.keys(LeaseConfig.shape))
    const silent = settings.filter(
      (name) =>
        !(name in withoutValue) &&
        !templates.includes(`"${name}"`) &&
        !keys.some(({ path }) => path.endsWith(`.${name}`)),
    )
    expect([...new Set(silent)]).toEqual([])
    expect(Object.keys(withoutValue).filter((name) => !settings.includes(name))).toEqual([])
  })
})

test('the chart carries the version of the product', () => {
  expect(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'))).toMatchObject({ version, appVersion: version })
})

interface Shaped {
  readonly shape: Readonly<Record<string, unknown>>
}
const hasShape = (schema: unknown): schema is Shaped =>
  typeof schema === 'object' && schema !== null && 'shape' in schema

function schemaKeys(schema: unknown, prefix = ''): string[] {
  if (!hasShape(schema)) return []
  return Object.entries(schema.shape)
    .filter(([key]) => prefix !== '' || key !== 'global')
    .flatMap(([key, inner]) => {
      const path = `${prefix}${key}`
      return isFlow(path) ? [path] : [path, ...schemaKeys(inner, `${path}.`)]
    })
}

/** Written as `{ … }` in values.yaml: one value with one explanation. */
function isFlow(path: string): boolean {
  return keys.some((key) => key.path === path && key.value !== null)
}
