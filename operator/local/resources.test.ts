import { expect, test } from 'vitest'
import { readResources } from './resources.ts'

const pair = `apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: smol }
spec:
  engine: { kind: simulated }
`
const key = `apiVersion: v1
kind: Secret
type: paceline.dev/api-key
metadata: { name: team }
stringData: { key: sk-0123456789abcdef, tenant: team, weight: "2" }
`
const read = (...texts: string[]) => readResources(texts.map((text, i) => ({ path: `${i}.yaml`, text })))
const problems = (...texts: string[]) => {
  const result = read(...texts)
  return result.kind === 'broken' ? result.problems : []
}

test('several documents, files and kinds are read together, with their defaults', () => {
  const result = read(`---\n${pair}---\n${key}`, pair.replace('smol', 'other'), '# nothing but a comment\n')
  expect(result).toMatchObject({
    kind: 'read',
    resources: {
      deployments: [{ metadata: { name: 'smol' }, spec: { slo: { ttftMs: 1000 } } }, { metadata: { name: 'other' } }],
      apiKeys: [{ stringData: { tenant: 'team', weight: 2, priority: 0 } }],
    },
  })
})

test('routes are read beside what they name, with the rules that a cluster has', () => {
  const route = `apiVersion: paceline.dev/v1alpha1
kind: ModelRoute
metadata: { name: helper }
spec:
  name: assistant
  weighted: [{ deployment: smol, weight: 9 }, { deployment: other, weight: 1 }]
`
  expect(read(pair, route)).toMatchObject({ resources: { routes: [{ spec: { name: 'assistant' } }] } })
  expect(problems(route, route)).toEqual(['1.yaml:1: a ModelRoute named "helper" is already at 0.yaml:1'])
  const noShare = route.replace('weight: 9', 'weight: 0').replace('weight: 1', 'weight: 0')
  expect(problems(noShare)).toEqual(['0.yaml:6: spec.weighted: all weights are 0: give one deployment a share'])
})

test('calibrations are ConfigMaps with our label, whatever their texts say', () => {
  const map = `apiVersion: v1
kind: ConfigMap
metadata: { name: smol.calibration, labels: { paceline.dev/kind: calibration } }
data: { cascade.json: '{' }
`
  expect(read(pair, map)).toMatchObject({
    resources: { configMaps: [{ metadata: { name: 'smol.calibration' }, data: { 'cascade.json': '{' } }] },
  })
  expect(problems(map, map)).toEqual(['1.yaml:1: a ConfigMap named "smol.calibration" is already at 0.yaml:1'])
  expect(problems(map.replace('calibration }', 'other }'))).toEqual([
    '0.yaml:3: metadata.labels.paceline.dev/kind: must be calibration: other ConfigMaps mean nothing here',
  ])
  expect(problems(map.replace('data:', 'binaryData:'))[0]).toMatch(/^0\.yaml:[14]: /)
})

test('JSON is YAML too', () => {
  const json = JSON.stringify({
    apiVersion: 'paceline.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name: 'smol' },
    spec: { engine: { kind: 'simulated' } },
  })
  expect(read(json).kind).toBe('read')
})

test('every mistake of every file is named with its line and field', () => {
  const misspelt = pair.replace(
    'engine: { kind: simulated }',
    'engine:\n    kind: simulated\n    slotz: 3\n  replicas: many',
  )
  expect(problems(misspelt, pair.replace('smol', 'Not A Name'))).toEqual([
    '0.yaml:7: spec.engine.slotz: no such field; check the spelling',
    '0.yaml:8: spec.replicas: Invalid input: expected number, received string',
    '1.yaml:3: metadata.name: lower-case letters, digits and "-", at most 46: names of workers and services are made from it',
  ])
})

test('a required field that is missing is named at the nearest line above it', () => {
  const [problem] = problems(pair.replace('kind: simulated', 'kind: llamacpp'))
  expect(problem).toBe('0.yaml:4: spec.target: required unless engine.kind is simulated; name the model file to serve')
})

test('text that is not YAML, and keys given twice, are named by line', () => {
  expect(problems(`${pair}  spec: [`)[0]).toMatch(/^0\.yaml:\d+: /)
  expect(problems(`${pair}spec: {}\n`)[0]).toMatch(/^0\.yaml:6: .*unique/)
})

test('unknown kinds are refused by name', () => {
  expect(problems('apiVersion: v1\nkind: Service\n')[0]).toMatch(/^0\.yaml:1: kind: "v1 Service" is not known here/)
  expect(problems('- 1\n')[0]).toMatch(/no apiVersion/)
  expect(problems('hello')[0]).toMatch(/kind: "string"/)
})

test('the same name twice is refused, and so is the same key, which is not shown', () => {
  expect(problems(pair, pair)).toEqual(['1.yaml:1: a ModelDeployment named "smol" is already at 0.yaml:1'])
  const again = problems(key, key.replace('name: team', 'name: other'))
  expect(again).toEqual(['1.yaml:1: the same key is already at 0.yaml:1'])
})

test('aliases that expand without bound are refused', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'].map((pair) => pair.split('')))
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(',')}]`)
  expect(problems(bomb.join('\n'))[0]).toMatch(/0\.yaml:1: .*alias/i)
})
