import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { product } from '#test/tidy/tree.ts'
import { resources } from '../operator/kubernetes/core/objects.ts'

const Rules = z.array(
  z.strictObject({ apiGroups: z.array(z.string()), resources: z.array(z.string()), verbs: z.array(z.string()) }),
)
const text = readFileSync(join(import.meta.dirname, 'paceline', 'files', 'operator-rules.yaml'), 'utf8')
const granted = Rules.parse(parse(text)).flatMap(({ apiGroups, resources: plurals, verbs }) =>
  apiGroups.flatMap((group) => plurals.flatMap((plural) => verbs.map((verb) => `${group}/${plural} ${verb}`))),
)

/** Call → what the API server asks the caller to have. A server-side apply may create. */
const verbsOf: Readonly<Record<string, readonly string[]>> = {
  'client.get': ['get'],
  'client.create': ['create'],
  'client.createLease': ['create'],
  'client.apply': ['patch', 'create'],
  '#ensure': ['patch', 'create'],
  'client.merge': ['patch'],
  'client.replace': ['update'],
  'client.remove': ['delete'],
  of: ['list', 'watch'],
}
const key = (name: string, suffix = '') => {
  const found = Object.entries(resources).find(([known]) => known === name)?.[1]
  const group = found?.apiVersion.includes('/') === true ? found.apiVersion.split('/')[0] : ''
  return `${group}/${found?.plural ?? name}${suffix}`
}
const code = product.filter(({ path }) => path.startsWith('operator/kubernetes/')).map((file) => file.text)
/** Each call with what follows it, which is looked at and left to be the next match. */
const calls = code.flatMap((source) => [
  ...source.matchAll(
    /(client\.\w+|#ensure|\bof)(?:<\w+>)?\(\s*resources\.(\w+)(?=((?:(?!client\.|await )[^]){0,160}))/g,
  ),
])
const used = calls.flatMap(([, call = '', name = '', rest = '']) =>
  call === 'client.apply' && /'status',?\s*\)/.test(rest)
    ? [`${key(name, '/status')} patch`]
    : (verbsOf[call] ?? [`unknown ${call}`]).map((verb) => `${key(name)} ${verb}`),
)
// The lease's own calls name it by another method.
const elsewhere = code.some((source) => source.includes('client.createLease(')) ? [`${key('leases')} create`] : []

test('the operator is granted exactly what its code asks for', () => {
  expect(calls.length).toBeGreaterThan(15)
  expect(granted.toSorted()).toEqual([...new Set([...used, ...elsewhere])].toSorted())
})

test('no wildcard, and nobody may make themselves more than they are', () => {
  expect(text.replaceAll(/^#.*$/gm, '')).not.toContain('*')
  expect(
    granted.filter((rule) =>
      /rbac|escalate|impersonate|bind|serviceaccounts|secrets (create|patch|update|delete|get)/.test(rule),
    ),
  ).toEqual([])
})
