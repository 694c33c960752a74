/**
 * Text to tokens, bounded: a prompt of a megabyte is recognised as too long from its first pieces, not after seconds of work.
 *
 * Only a text that can fit is tokenised as a whole, so tokens never depend on where a piece was cut.
 */
import type { Segment } from './chat/template.ts'
import type { ModelRunner } from './modelRunner.ts'

export type Tokenized =
  | { readonly kind: 'tokens'; readonly tokens: number[] }
  /** At least so many; counting stopped there. */
  | { readonly kind: 'too-long'; readonly tokensMin: number }

/** About 5 ms of tokenising. */
const pieceCharacters = 16_384
/** A cut can make more tokens of a word than the word has; each piece has one cut. */
const tokensPerCut = 16

export function tokenizeSegments(
  runner: ModelRunner,
  segments: readonly Segment[],
  options: { readonly tokensMax: number; readonly addBegin: boolean },
): Tokenized {
  const tokens: number[] = []
  for (const [i, segment] of segments.entries()) {
    const room = options.tokensMax - tokens.length
    const tokensMin = tokensAtLeast(runner, segment, room)
    if (tokensMin > room) return { kind: 'too-long', tokensMin: tokens.length + tokensMin }
    const addBegin = options.addBegin && i === 0
    for (const token of runner.tokenize(segment.text, { parseSpecial: segment.special, addBegin })) tokens.push(token)
    if (tokens.length > options.tokensMax) return { kind: 'too-long', tokensMin: tokens.length }
  }
  return { kind: 'tokens', tokens }
}

/** 0 for short texts: counting them costs as much as tokenising them. Stops once over `tokensMax`. */
function tokensAtLeast(runner: ModelRunner, { text, special }: Segment, tokensMax: number): number {
  let tokens = 0
  for (let start = 0; text.length > pieceCharacters && start < text.length && tokens <= tokensMax; ) {
    const end = pieceEnd(text, start)
    const count = runner.tokenize(text.slice(start, end), { parseSpecial: special, addBegin: false }).length
    tokens += Math.max(0, count - tokensPerCut)
    start = end
  }
  return tokens
}

/** Never between the two halves of a character. */
function pieceEnd(text: string, start: number): number {
  const end = start + pieceCharacters
  const unit = text.charCodeAt(end - 1)
  return unit >= 0xd800 && unit < 0xdc00 ? end + 1 : end
}
