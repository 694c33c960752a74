import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import { chatDigests, prefixDigests } from './prefixDigest.ts'

const a = { tenant: TenantId.parse('a'), expert: null }
const b = { tenant: TenantId.parse('b'), expert: null }
const message = fc.record({ role: fc.constantFrom('user', 'assistant', 'system'), content: fc.string() })

test('two chats share exactly the digests of the messages they share', () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1 }), fc.array(message), fc.array(message), (shared, left, right) => {
      const one = chatDigests(a, [...shared, ...left])
      const two = chatDigests(a, [...shared, ...right])
      expect(one.slice(0, shared.length)).toEqual(two.slice(0, shared.length))
      const differ = JSON.stringify(left[0]) !== JSON.stringify(right[0])
      if (left.length > 0 && right.length > 0 && differ) expect(one[shared.length]).not.toEqual(two[shared.length])
    }),
  )
})

test('the same prompt of two tenants shares no digest', () => {
  const work = { kind: 'chat' as const, messages: [{ role: 'user', content: 'hello' }] }
  expect(prefixDigests(a, work)).not.toEqual(prefixDigests(b, work))
})

test('a long completion prompt has a digest per whole block and none for the rest', () => {
  const prompt = 'x'.repeat(256 * 3 + 255)
  expect(prefixDigests(a, { kind: 'completion', prompt, echo: false })).toHaveLength(3)
  expect(
    prefixDigests(a, { kind: 'completion', prompt: Array.from({ length: 130 }, (_, i) => i), echo: false }),
  ).toHaveLength(2)
})

test('digests of 200,000 distinct prompts do not collide', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 200_000; i++) seen.add(chatDigests(a, [{ role: 'user', content: `question ${i}` }])[0] ?? '')
  expect(seen.size).toBe(200_000)
})
