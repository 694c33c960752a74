import { expect, test } from 'vitest'
import { grantNames } from './names.ts'

const pair = (name: string) => ({ kind: 'deployment', name })

test('the older of two deployments keeps the name that both want', () => {
  const granted = grantNames([
    { name: 'a', servedNames: ['gpt', 'gpt'] },
    { name: 'b', servedNames: ['gpt', 'mine'] },
  ])
  expect(granted.get('a')).toEqual({ servedNames: ['a', 'gpt'], conflicts: [] })
  expect(granted.get('b')).toEqual({ servedNames: ['b', 'mine'], conflicts: [{ name: 'gpt', owner: pair('a') }] })
})

test("a deployment's own name is its own, even where an older one claims it", () => {
  const granted = grantNames([
    { name: 'a', servedNames: ['b'] },
    { name: 'b', servedNames: ['b'] },
  ])
  expect(granted.get('a')?.conflicts).toEqual([{ name: 'b', owner: pair('b') }])
  expect(granted.get('b')).toEqual({ servedNames: ['b'], conflicts: [] })
})
