import { expect, test } from 'vitest'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { canonicalJson, revisionOf } from './revision.ts'
import { anyModel, specOf } from './testing.ts'

const base = specOf()
const changed = (fields: object) => revisionOf(ModelDeploymentSpec.parse({ ...base, ...fields })) !== revisionOf(base)

test('whatever a worker is started with makes a new revision', () => {
  expect(changed({ target: { ...anyModel, sha256: 'b'.repeat(64) } })).toBe(true)
  expect(changed({ engine: { ...base.engine, slots: 2 } })).toBe(true)
  expect(changed({ compression: { kvCache: { type: 'q8_0' } } })).toBe(true)
  expect(changed({ draft: anyModel })).toBe(true)
  expect(changed({ speculation: { table: anyModel } })).toBe(true)
  expect(changed({ speculation: { acceptance: anyModel }, draft: anyModel })).toBe(true)
  const draft = { draft: { ...anyModel, sha256: 'd'.repeat(64) } }
  const [one, other] = ['e', 'f'].map((digit) =>
    revisionOf(
      ModelDeploymentSpec.parse({
        ...base,
        ...draft,
        speculation: { acceptance: { ...anyModel, sha256: digit.repeat(64) } },
      }),
    ),
  )
  expect(one).not.toBe(other)
})

test('what running workers follow does not', () => {
  expect(changed({ slo: { ttftMs: 1, tpotMs: 1 } })).toBe(false)
  for (const speculation of [{ method: 'ngram' }, { method: 'off' }, { draftTokensMax: 2 }, { controller: 'fixed' }])
    expect(changed({ speculation })).toBe(false)
})

test('where the same content comes from, how many workers there are and what routers read does not', () => {
  expect(changed({ target: { ...anyModel, source: 'file:///elsewhere', mirrors: ['https://m.example/a'] } })).toBe(
    false,
  )
  expect(changed({ replicas: 9, servedNames: ['x'], queue: { requestsMax: 1, bytesMax: 4096 } })).toBe(false)
  expect(changed({ sampling: { temperature: 0.2 } })).toBe(false)
})

test('the order of keys in the file does not matter', () => {
  expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}')
})
