import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
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
