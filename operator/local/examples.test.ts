import { fileURLToPath } from 'node:url'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { judgeCascade, noSources } from '../core/calibrations.ts'
import { readFiles } from './resourceFiles.ts'
import { readResources } from './resources.ts'

const folder = fileURLToPath(new URL('../../examples', import.meta.url))

test.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))(
  'examples/%s is taken as it stands',
  async (name) => {
    const result = readResources(await readFiles(join(folder, name)))
    expect(result.kind === 'broken' ? result.problems : []).toEqual([])
  },
)

test('what the example of a cascade calls proved is taken for that', async () => {
  const result = readResources(await readFiles(join(folder, 'cascade.yaml')))
  const { routes = [], configMaps = [] } = result.kind === 'read' ? result.resources : {}
  const configMap = (name: string) => configMaps.find(({ metadata }) => metadata.name === name)?.data ?? null
  const judged = routes.flatMap(({ spec }) =>
    spec.cascade ? judgeCascade(spec.cascade, { ...noSources, configMap }) : [],
  )
  expect(judged.map((step) => step?.problem ?? step?.guarantee.kind)).toEqual(['holds', undefined])
})
