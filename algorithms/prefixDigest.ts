/**
 * Chained digests of a prompt's prefixes, computed alike by routers and workers without knowing any tokenizer.
 *
 * A prompt is cut into segments (one per chat message; blocks of text or token ids otherwise). Digest i covers segments 0..i
 * and everything before, tenant included, so two prompts share digest i exactly when they share that whole prefix (up to a
 * 64-bit collision, which costs a wrong preference and nothing else: workers compare tokens before they reuse a state).
 * The tenant is the salt: no tenant can learn from timing what another one asked. The expert is too, because what one has computed is
 * nothing to another; without one the salt is the tenant alone.
 */
import type { TenantId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ChatMessage, Work } from '#contracts/messages.ts'

export const textBlockCharacters = 256
export const tokenBlockLength = 64

/** Whose state it is. */
export interface DigestOwner {
  readonly tenant: TenantId
  /** Null: the model as it is. */
  readonly expert: string | null
}

/** One digest per prefix, shortest first. Embedding work has none. */
export function prefixDigests(owner: DigestOwner, work: Work): string[] {
  switch (work.kind) {
    case 'chat':
      return chatDigests(owner, work.messages)
    case 'completion':
      return typeof work.prompt === 'string' ? textDigests(owner, work.prompt) : tokenDigests(owner, work.prompt)
    case 'embedding':
      return []
    default:
      return work satisfies never
  }
}

/** Of many prefixes those worth telling: what others may share with a long conversation is its beginning or all of it. */
export function prefixEnds<T>(prefixes: readonly T[]): readonly T[] {
  const { expectedPrefixesMax } = limits.router
  if (prefixes.length <= expectedPrefixesMax) return prefixes
  const half = expectedPrefixesMax / 2
  return [...prefixes.slice(0, half), ...prefixes.slice(-half)]
}

/** Digest i covers messages 0..i. A worker adds the answer it gave as one more message: the next turn starts with it. */
export function chatDigests(owner: DigestOwner, messages: readonly ChatMessage[]): string[] {
  return chain(
    salt('chat', owner),
    messages.map((message) => `${message.role}\u0000${message.name ?? ''}\u0000${message.content}`),
  )
}

function textDigests(owner: DigestOwner, text: string): string[] {
  const whole = Math.floor(text.length / textBlockCharacters)
  const blocks = Array.from({ length: whole }, (_, i) =>
    text.slice(i * textBlockCharacters, (i + 1) * textBlockCharacters),
  )
  return chain(salt('text', owner), blocks)
}

function tokenDigests(owner: DigestOwner, tokens: readonly number[]): string[] {
  const whole = Math.floor(tokens.length / tokenBlockLength)
  const blocks = Array.from({ length: whole }, (_, i) =>
    tokens.slice(i * tokenBlockLength, (i + 1) * tokenBlockLength).join(','),
  )
  return chain(salt('tokens', owner), blocks)
}

function salt(kind: string, { tenant, expert }: DigestOwner): string {
  return expert === null ? `${kind}\u0000${tenant}` : `${kind}\u0000${tenant}\u0000${expert}`
}

function chain(salt: string, segments: readonly string[]): string[] {
  let state = hash(salt, 0x9e37_79b9, 0x85eb_ca6b)
  return segments.map((segment) => {
    state = hash(segment, state.high, state.low)
    return state.high.toString(16).padStart(8, '0') + state.low.toString(16).padStart(8, '0')
  })
}

/** Two interleaved 32-bit multiply-xor lanes with murmur3's finaliser: 64 bits, about 1 ns a character, no allocation. */
function hash(text: string, high: number, low: number): { high: number; low: number } {
  let a = high ^ 0xdead_beef
  let b = low ^ 0x41c6_ce57
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x9e37_79b1)
    b = Math.imul(b ^ unit, 0x5f35_6495)
  }
  a = Math.imul(a ^ (a >>> 16), 0x85eb_ca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2_ae35)
  b = Math.imul(b ^ (b >>> 16), 0x85eb_ca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2_ae35)
  return { high: a >>> 0, low: b >>> 0 }
}
