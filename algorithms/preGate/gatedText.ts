/**
 * What a pre-gate reads of a request: the first message of its user, from its beginning on. It stays as it is through a whole
 * conversation, so all turns go to one expert, whose prefix cache holds them, whichever router is asked and whatever it remembers. What a
 * client or template adds is not read. Bounded, the same for whoever trains a gate and whoever asks one.
 */
import { limits } from '#contracts/limits.ts'
import type { ChatMessage, Work } from '#contracts/messages.ts'

/** Token ids where the client sent ids; null where there is nothing to gate. */
export function gatedText(work: Work): string | readonly number[] | null {
  switch (work.kind) {
    case 'chat':
      return gatedMessages(work.messages)
    case 'completion':
      return gatedStart(work.prompt)
    case 'embedding':
      return null
    default:
      return work satisfies never
  }
}

export function gatedMessages(messages: readonly Pick<ChatMessage, 'role' | 'content'>[]): string {
  return gatedStart(messages.find(({ role }) => role === 'user')?.content ?? '')
}

export function gatedStart(prompt: string): string
export function gatedStart(prompt: string | readonly number[]): string | readonly number[]
export function gatedStart(prompt: string | readonly number[]): string | readonly number[] {
  return prompt.slice(0, limits.experts.gateCharactersMax)
}
