import { describe, expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import type { Work } from '#contracts/messages.ts'
import { estimatedTokens, needOf, withTokens } from './prompt.ts'

const tenant = TenantId.parse('alpha')
const chat = (...contents: string[]): Work => ({
  kind: 'chat',
  messages: contents.map((content) => ({ role: 'user', content })),
})
const needed = (work: Work, name = 'r1/0') =>
  needOf(work, { owner: { tenant, expert: null }, name, promptTokens: estimatedTokens(work) })

test('prefixes of a chat grow by message and end with the whole prompt', () => {
  const work = chat('x'.repeat(30), 'y'.repeat(10))
  expect(withTokens(work, ['a', 'b'], 1_000)).toEqual([
    { digest: 'a', tokens: 750 },
    { digest: 'b', tokens: 1_000 },
  ])
  expect(estimatedTokens(work)).toBe(11)
})

describe('what a pick must know', () => {
  test('prefixes that no worker would keep are not worth knowing', () => {
    expect(needed(chat('short', 'x'.repeat(40))).prefixes).toEqual([])
    expect(needed(chat('short', 'x'.repeat(4_000))).prefixes).toHaveLength(1)
    expect(needed(chat('y'.repeat(400), 'x'.repeat(4_000))).prefixes).toHaveLength(2)
  })

  test('what begins alike has one key, and what has nothing to share goes by its name', () => {
    const system = 'y'.repeat(400)
    expect(needed(chat(system, 'one')).key).toBe(needed(chat(system, 'another'), 'r2/0').key)
    expect(needed(chat('hello'), 'r1/0').key).not.toBe(needed(chat('hello'), 'r2/0').key)
  })

  test('the key of a tenant, and of an expert, is nobody else’s', () => {
    const work = chat('y'.repeat(400))
    for (const owner of [
      { tenant: TenantId.parse('beta'), expert: null },
      { tenant, expert: 'sql' },
    ])
      expect(needOf(work, { owner, name: 'r1/0', promptTokens: 101 }).key).not.toBe(needed(work).key)
  })

  test('embeddings hold nothing', () => {
    expect(needed({ kind: 'embedding', inputs: ['x'.repeat(1_000)] }).prefixes).toEqual([])
  })
})
