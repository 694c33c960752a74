/**
 * A prompt as far as a pick must know it, before anybody has tokenised it: how long it is, and the digests of its prefixes.
 *
 * Lengths are estimates; every share is of the same estimate, so what they decide is the same in every router.
 */
import { type DigestOwner, prefixDigests, textBlockCharacters, tokenBlockLength } from '#algorithms/prefixDigest.ts'
import { hash32 } from '#algorithms/rendezvous.ts'
import { limits } from '#contracts/limits.ts'
import type { Work } from '#contracts/messages.ts'

export interface Need {
  readonly promptTokens: number
  /** Those worth knowing, longest last. */
  readonly prefixes: readonly Prefix[]
  /** The first of them is shared: everything that begins with it has this key. */
  readonly key: number
}

export interface Prefix {
  readonly digest: string
  /** Of the prompt, this prefix. */
  readonly tokens: number
}

export interface Asking {
  readonly owner: DigestOwner
  /** Names this prompt and no other; what has no prefix that is worth knowing goes by it. */
  readonly name: string
  readonly promptTokens: number
}

export function needOf(work: Work, asking: Asking): Need {
  const { promptTokens } = asking
  const prefixes = prefixesOf(work, asking)
  const [first] = prefixes
  return { promptTokens, prefixes, key: hash32(first?.digest ?? asking.name) }
}

/** No worker keeps less than `prefixTokensMin`, and no token is shorter than a character: short prompts are not even hashed. */
function prefixesOf(work: Work, { owner, promptTokens }: Asking): Prefix[] {
  if (sizeOf(work) < limits.worker.prefixTokensMin) return []
  return withTokens(work, prefixDigests(owner, work), promptTokens).filter(
    ({ tokens }) => tokens >= limits.worker.prefixTokensMin,
  )
}

/** How many tokens of the prompt each of the prefixes that `prefixDigests` numbers covers. */
export function withTokens(work: Work, digests: readonly string[], promptTokens: number): Prefix[] {
  const total = sizeOf(work)
  let covered = 0
  return digests.map((digest, i) => {
    covered += segmentSize(work, i)
    return { digest, tokens: Math.round(promptTokens * Math.min(1, covered / total)) }
  })
}

function segmentSize(work: Work, index: number): number {
  switch (work.kind) {
    case 'chat':
      return work.messages[index]?.content.length ?? 0
    case 'completion':
      return typeof work.prompt === 'string' ? textBlockCharacters : tokenBlockLength
    case 'embedding':
      return 0
    default:
      return work satisfies never
  }
}

/** Characters, or tokens where the client gave tokens. */
export function sizeOf(work: Work): number {
  switch (work.kind) {
    case 'chat':
      return work.messages.reduce((sum, message) => sum + message.content.length, 0)
    case 'completion':
      return work.prompt.length
    case 'embedding':
      return work.inputs.reduce((sum, input) => sum + input.length, 0)
    default:
      return work satisfies never
  }
}

const charactersPerToken = 4

/** About four characters a token. */
export function estimatedTokens(work: Work): number {
  if (work.kind === 'completion' && typeof work.prompt !== 'string') return work.prompt.length
  return Math.ceil(sizeOf(work) / charactersPerToken) + 1
}
