import { expect, test } from 'vitest'
import { grantNames } from './names.ts'

const pair = (name: string) => ({ kind: 'deployment' as const, name })
const route = (name: string) => ({ kind: 'route' as const, name })

test('the older of two deployments keeps the name that both want', () => {
  const granted = grantNames([
    { ...pair('a'), servedNames: ['gpt', 'gpt'] },
    { ...pair('b'), servedNames: ['gpt', 'mine'] },
  ])
  expect(granted).toEqual([
    { servedNames: ['a', 'gpt'], conflicts: [] },
    { servedNames: ['b', 'mine'], conflicts: [{ name: 'gpt', owner: pair('a') }] },
  ])
})

test("a deployment's own name is its own, even where an older one claims it", () => {
  const granted = grantNames([
    { ...pair('a'), servedNames: ['b'] },
    { ...pair('b'), servedNames: ['b'] },
  ])
  expect(granted[0]?.conflicts).toEqual([{ name: 'b', owner: pair('b') }])
  expect(granted[1]).toEqual({ servedNames: ['b'], conflicts: [] })
})

test('a route has the one name that it stands for, unless somebody older or a deployment of that name has it', () => {
  const granted = grantNames([
    { ...route('a'), servedNames: ['chat'] },
    { ...pair('b'), servedNames: ['chat'] },
    { ...route('b'), servedNames: ['b'] },
    { ...route('c'), servedNames: ['c'] },
  ])
  expect(granted).toEqual([
    { servedNames: ['chat'], conflicts: [] },
    { servedNames: ['b'], conflicts: [{ name: 'chat', owner: route('a') }] },
    { servedNames: [], conflicts: [{ name: 'b', owner: pair('b') }] },
    { servedNames: ['c'], conflicts: [] },
  ])
})
