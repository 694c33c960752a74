import { expect, test } from 'vitest'
import type { ChatMessage } from '#contracts/messages.ts'
import { gatedText } from './gatedText.ts'

const message = (role: ChatMessage['role'], content: string): ChatMessage => ({ role, content })

test('a conversation is known by what its user said, and its later turns begin like the first', () => {
  const first = [message('system', 'Be brief.'), message('user', 'Join two tables')]
  const later = [...first, message('assistant', 'JOIN'), message('user', 'and three?')]
  expect(gatedText({ kind: 'chat', messages: first })).toBe('Join two tables')
  expect(gatedText({ kind: 'chat', messages: later })).toBe('Join two tables\nand three?')
})

test('a completion is its prompt, text or ids; an embedding is not gated', () => {
  expect(gatedText({ kind: 'completion', prompt: 'Once', echo: false })).toBe('Once')
  expect(gatedText({ kind: 'completion', prompt: [1, 2], echo: false })).toEqual([1, 2])
  expect(gatedText({ kind: 'embedding', inputs: ['a'] })).toBeNull()
})
