import { expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import type { ChatMessage } from '#contracts/messages.ts'
import { gatedText } from './gatedText.ts'

const message = (role: ChatMessage['role'], content: string): ChatMessage => ({ role, content })

test('a conversation is known by the first message of its user, in all of its turns', () => {
  const first = [message('system', 'Be brief.'), message('user', 'Join two tables')]
  const later = [...first, message('assistant', 'JOIN'), message('user', 'and three?')]
  expect(gatedText({ kind: 'chat', messages: first })).toBe('Join two tables')
  expect(gatedText({ kind: 'chat', messages: later })).toBe('Join two tables')
})

test('a completion is its prompt, text or ids; an embedding is not gated', () => {
  expect(gatedText({ kind: 'completion', prompt: 'Once', echo: false })).toBe('Once')
  expect(gatedText({ kind: 'completion', prompt: [1, 2], echo: false })).toEqual([1, 2])
  const long = 'x'.repeat(limits.experts.gateCharactersMax + 1)
  expect(gatedText({ kind: 'completion', prompt: long, echo: false })).toHaveLength(limits.experts.gateCharactersMax)
  expect(gatedText({ kind: 'chat', messages: [message('system', 'Be brief.')] })).toBe('')
  expect(gatedText({ kind: 'embedding', inputs: ['a'] })).toBeNull()
})
