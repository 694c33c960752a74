import { arbitrarySpec, mendedPair, mendedRoute } from '#test/resources/arbitraryResource.ts'
import { evaluateCel } from '#test/resources/cel.ts'
import { structuralVerdict, withoutNulls } from '#test/resources/structuralVerdict.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { apiVersion } from '#contracts/resources/metadata.ts'
import { fieldsWithoutEffect, ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { ModelRouteSpec } from '#contracts/resources/modelRoute.ts'
import { hinted, ruled } from '#contracts/resources/rules.ts'
import { crdText, resourceKinds, rootSchema } from './crds.ts'
import { type StructuralSchema, structuralSchema } from './structuralSchema.ts'

const kindOf = (name: string) => {
  const found = resourceKinds.find(({ kind }) => kind === name)
  if (found === undefined) throw new Error(`no kind ${name}`)
  return found
}
const specSchema = (name: string) => rootSchema(kindOf(name)).properties?.spec ?? {}

/** Every schema inside one, with its path. */
function walk(schema: StructuralSchema, path: string): { path: string; schema: StructuralSchema }[] {
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => walk(field, `${path}.${name}`))
  const { items, additionalProperties } = schema
  return [
    { path, schema },
    ...fields,
    ...(items === undefined ? [] : walk(items, `${path}[]`)),
    ...(additionalProperties === undefined ? [] : walk(additionalProperties, `${path}.*`)),
  ]
}

describe.each(resourceKinds)('the definition of $kind', (resource) => {
  const spec = walk(specSchema(resource.kind), 'spec')
  const status = walk(rootSchema(resource).properties?.status ?? {}, 'status')

  test('describes every field', () => {
    const isItem = (path: string) => /(\[\]|\.\*)$/.test(path)
    expect(
      [...spec, ...status].filter(({ path, schema }) => !isItem(path) && !schema.description).map(({ path }) => path),
    ).toEqual([])
  })

  test('bounds everything that a user writes, so that the cost of its rules can be known', () => {
    const unbounded = spec.filter(({ schema }) => {
      if (schema.enum !== undefined || schema['x-kubernetes-preserve-unknown-fields']) return false
      // Lengths are counted in other units here and there; a pattern without wide characters makes them the same.
      if (schema.type === 'string') return schema.maxLength === undefined || schema.pattern === undefined
      if (schema.type === 'array') return schema.maxItems === undefined
      if (schema.additionalProperties !== undefined) return schema.maxProperties === undefined
      if (schema.type === 'integer' || schema.type === 'number')
        return schema.minimum === undefined || schema.maximum === undefined
      return false
    })
    expect(unbounded.map(({ path }) => path)).toEqual([])
  })

  test('says with each rule what to change, in one line', () => {
    const rules = spec.flatMap(({ schema }) => schema['x-kubernetes-validations'] ?? [])
    expect(rules.length).toBeGreaterThan(0)
    for (const { rule, message } of rules) {
      expect(`${rule}${message}`).not.toContain('\n')
      expect(message.length).toBeLessThan(200)
    }
  })

  test('has defaults that satisfy itself', () => {
    const withDefault = spec.filter(({ schema }) => schema.default !== undefined)
    const broken = withDefault.flatMap(({ path, schema }) =>
      structuralVerdict(schema, schema.default).problems.map((problem) => `${path}: ${problem}`),
    )
    expect(broken).toEqual([])
    // The API server judges them as they stand, before it fills in what is inside.
    const changed = withDefault.filter(({ schema }) => {
      const { value } = structuralVerdict(schema, schema.default)
      return JSON.stringify(value) !== JSON.stringify(schema.default)
    })
    expect(changed.map(({ path }) => path)).toEqual([])
  })

  test('is read alike by the YAML of today and that of kubectl, where a bare off is a boolean', () => {
    const text = crdText(resource)
    expect(parse(text, { version: '1.1' })).toEqual(parse(text, { version: '1.2' }))
  })
})

const labelled = (...names: string[]) => names.map((name) => ({ name, pattern: name }))

describe('two judges, one verdict', () => {
  const cases = [
    { kind: 'ModelDeployment', schema: ModelDeploymentSpec, mend: mendedPair },
    { kind: 'ModelRoute', schema: ModelRouteSpec, mend: mendedRoute },
  ]

  test.each(cases)('of generated specs of $kind', ({ kind, schema, mend }) => {
    const spec = specSchema(kind)
    const count = { good: 0, bad: 0 }
    fc.assert(
      fc.property(arbitrarySpec({ spec, mend }), (value) => {
        const { problems, value: filled } = structuralVerdict(spec, value)
        const parsed = schema.safeParse(withoutNulls(spec, value))
        expect({ isGood: parsed.success, problems, issues: parsed.error?.issues }).toMatchObject({
          isGood: problems.length === 0,
        })
        // … and the same defaults, so that the operator sees on the platform what it would see in a cluster.
        if (parsed.success) expect(parsed.data).toEqual(filled)
        count[parsed.success ? 'good' : 'bad'] += 1
      }),
      { numRuns: 1_000 },
    )
    expect(count.good).toBeGreaterThan(200)
    expect(count.bad).toBeGreaterThan(200)
  })

  test.each([
    ['replicas and scaling', { replicas: 1, scaling: { maxReplicas: 2 } }, 'replicas and scaling exclude each other'],
    ['least over most', { scaling: { minReplicas: 3, maxReplicas: 2 } }, 'minReplicas must not be over maxReplicas'],
    ['a draft method without a draft', { speculation: { method: 'draft' } }, 'needs spec.draft'],
    ['a draft that is switched off', { speculation: { method: 'off' }, draft: {} }, 'not with speculation.method off'],
    [
      'what was learned of a draft that is not there',
      { speculation: { acceptance: { source: 'file:///a', sha256: 'e'.repeat(64) } } },
      'speculation.acceptance is about a draft model',
    ],
    ['an f16 cache', { engine: { reproducible: true }, compression: { kvCache: { type: 'f16' } } }, 'excludes an f16'],
    ['gear', { engine: { reproducible: true }, compression: { kvCache: { cold: 'gear4' } } }, 'excludes gear'],
    ['KV prediction', { engine: { reproducible: true }, kvPrediction: { mode: 'auto' } }, 'excludes KV prediction'],
    ['settings of an engine that is not there', { engine: { simulated: {} } }, 'only with engine.kind: simulated'],
    ['no model', { target: undefined }, 'required unless engine.kind is simulated'],
    ['a rollout that cannot move', { rollout: { maxSurge: 0 } }, 'must not both be 0'],
    ['a label of ours', { podTemplate: { metadata: { labels: { 'paceline.dev/a': '' } } } }, 'set by others'],
    ['a label of the cluster', { podTemplate: { metadata: { labels: { 'x.kubernetes.io/a': '' } } } }, 'set by others'],
  ])('a pair with %s is refused by both in the same words', (_, fields, words) => {
    const model = { source: 'https://models.example/a.gguf', sha256: 'a'.repeat(64) }
    const draft = 'draft' in fields ? { draft: model } : {}
    const value = JSON.parse(JSON.stringify({ target: model, ...fields, ...draft })) as unknown
    const parsed = ModelDeploymentSpec.safeParse(value)
    expect(parsed.error?.issues.map(({ message }) => message).join()).toContain(words)
    expect(structuralVerdict(specSchema('ModelDeployment'), value).problems.join()).toContain(words)
  })

  const accept = { metaRanking: { references: { configMap: 'known' }, errorRateMax: 0.1 } }
  test.each([
    [{ direct: { deployment: 'a' }, risk: { deployment: 'a', escalateTo: 'b' } }, 'exactly one of'],
    [{}, 'exactly one of'],
    [{ weighted: [{ deployment: 'a', weight: 0 }] }, 'all weights are 0'],
    [
      {
        weighted: [
          { deployment: 'a', weight: 1 },
          { deployment: 'a', weight: 2 },
        ],
      },
      'each deployment once',
    ],
    [{ cascade: { steps: [{ deployment: 'a', accept }, { deployment: 'b' }] } }, undefined],
    [{ cascade: { steps: [{ deployment: 'a' }, { deployment: 'b' }] } }, 'needs accept'],
    [
      {
        cascade: {
          steps: [
            { deployment: 'a', accept },
            { deployment: 'b', accept },
          ],
        },
      },
      'the last step keeps',
    ],
    [{ cascade: { steps: [{ deployment: 'a', accept }, { deployment: 'a' }] } }, 'each deployment once'],
    [{ direct: { deployment: 'a' } }, undefined],
    [{ risk: { deployment: 'a', escalateTo: 'a' } }, 'another deployment'],
    [{ risk: { deployment: 'a', escalateTo: 'b', answerBelow: 0.9 } }, 'must not be over escalateFrom'],
    [{ risk: { deployment: 'a', escalateTo: 'b', sources: [{ name: 'silent' }] } }, 'exactly one of'],
    [
      {
        risk: {
          deployment: 'a',
          escalateTo: 'b',
          sources: ['one', 'two'].map((name) => ({ name, selfConsistency: {} })),
        },
      },
      'one source of the kind selfConsistency',
    ],
    [{ risk: { deployment: 'a', escalateTo: 'b', labels: [{ name: 'spam', pattern: 'spam' }] } }, 'one label tells'],
    [{ risk: { deployment: 'a', escalateTo: 'b', labels: labelled('spam', 'wrong') } }, 'a label must not be called'],
    [{ risk: { deployment: 'a', escalateTo: 'b', labels: labelled('spam', 'spam') } }, 'each label once'],
    [{ risk: { deployment: 'a', escalateTo: 'b', labels: labelled('spam', 'ham') } }, undefined],
    [
      { risk: { deployment: 'a', escalateTo: 'b', sources: [{ name: 'sum', validator: { check: 'json' } }] } },
      undefined,
    ],
  ])('a route with %j is judged alike', (fields, words) => {
    const value = { name: 'assistant', ...fields }
    const problems = structuralVerdict(specSchema('ModelRoute'), value).problems.join()
    const issues = (ModelRouteSpec.safeParse(value).error?.issues ?? []).map(({ message }) => message).join()
    if (words === undefined) return expect({ problems, issues }).toEqual({ problems: '', issues: '' })
    expect(problems).toContain(words)
    expect(issues).toContain(words)
  })
})

test('a new pair sets nothing that has no effect yet, and whatever does is named', () => {
  const plain = { target: { source: 'https://models.example/a.gguf', sha256: 'a'.repeat(64) } }
  const said = (fields: object) => fieldsWithoutEffect(ModelDeploymentSpec.parse({ ...plain, ...fields }))
  expect(said({})).toEqual([])
  expect(said({ draft: plain.target, kvPrediction: { mode: 'auto' } })).toEqual(['spec.kvPrediction.mode'])
  expect(said({ compression: { kvCache: { cold: 'gear4' }, weights: { budgetBits: 4 } } })).toHaveLength(2)
  expect(said({ speculation: { method: 'ngram' }, experts: [{ name: 'sql', adapter: plain.target }] })).toEqual([])
})

describe('the conversion', () => {
  test('writes bounds as OpenAPI 3.0 does, and lists with how they merge', () => {
    const schema = z.strictObject({
      share: z.number().gt(0).max(1).default(0.5).describe('A share.'),
      names: hinted(z.array(z.string().max(3)).max(2), { listType: 'set' }),
    })
    expect(structuralSchema(schema)).toEqual({
      type: 'object',
      required: ['names'],
      properties: {
        share: {
          type: 'number',
          description: 'A share.',
          default: 0.5,
          minimum: 0,
          exclusiveMinimum: true,
          maximum: 1,
        },
        names: { type: 'array', maxItems: 2, items: { type: 'string', maxLength: 3 }, 'x-kubernetes-list-type': 'set' },
      },
    })
  })

  test('puts a rule where its object is, and points to the field to blame', () => {
    const rule = {
      cel: 'self.a <= self.b',
      message: 'lower a',
      path: ['a'],
      holds: ({ a, b }: { a: number; b: number }) => a <= b,
    }
    const schema = ruled(z.strictObject({ a: z.number(), b: z.number() }), [rule])
    expect(structuralSchema(schema)['x-kubernetes-validations']).toEqual([
      { rule: 'self.a <= self.b', message: 'lower a', fieldPath: '.a' },
    ])
  })

  test('refuses what a structural schema cannot say', () => {
    expect(() => structuralSchema(z.strictObject({ a: z.union([z.string(), z.boolean()]) }))).toThrow()
    expect(() => structuralSchema(z.strictObject({ a: z.iso.datetime().nullable() }))).toThrow()
  })

  test('knows the version it defines', () => {
    expect(parse(crdText(kindOf('ModelRoute')))).toMatchObject({
      metadata: { name: 'modelroutes.paceline.dev' },
      spec: { group: apiVersion.split('/')[0], versions: [{ name: apiVersion.split('/')[1], storage: true }] },
    })
  })
})

test('the little CEL says what CEL says', () => {
  const self = { a: 2, list: [{ n: 1 }, { n: 2, x: true }], map: { 'a/b': '' }, text: "it's" }
  const cases: readonly [string, unknown][] = [
    ["self.text == 'it\\'s' && !(self.a > 2)", true],
    ['has(self.none) || self.list[size(self.list) - 1].n == self.a', true],
    ['self.list.exists_one(item, has(item.x))', true],
    ['self.list.all(item, item.n < 2)', false],
    ['self.list.filter(item, item.n >= 1).size() != 2', false],
    ["self.map.all(key, key.matches('^[a-z]+/b$'))", true],
    ['[has(self.a), has(self.none)].exists(given, given)', true],
  ]
  for (const [rule, value] of cases) expect(evaluateCel(rule, { self }), rule).toBe(value)
})
