/**
 * What a pre-gate reads of a request: what the user wrote, from the conversation's first message on. The beginning of a conversation
 * stays as it is, so all of its turns go to one expert, whose prefix cache holds them. What a client or template adds is not read.
 */
import type { ChatMessage, Work } from '#contracts/messages.ts'

/** Token ids where the client sent ids; null where there is nothing to gate. */
export function gatedText(work: Work): string | readonly number[] | null {
  switch (work.kind) {
    case 'chat':
      return gatedMessages(work.messages)
    case 'completion':
      return work.prompt
    case 'embedding':
      return null
    default:
      return work satisfies never
  }
}

export function gatedMessages(messages: readonly Pick<ChatMessage, 'role' | 'content'>[]): string {
  return messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content)
    .join('\n')
}
