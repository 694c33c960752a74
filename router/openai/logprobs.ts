/** Token probabilities in OpenAI's two forms: a list of objects for chat, parallel lists for text completions. */
import type { TokenLogprob } from '#contracts/messages.ts'

export function chatLogprobs(tokens: readonly TokenLogprob[]) {
  const content = tokens.map(({ token, bytes, logprob, top }) => ({
    token,
    logprob,
    bytes,
    top_logprobs: top.map((each) => ({ token: each.token, logprob: each.logprob, bytes: each.bytes })),
  }))
  return { content, refusal: null }
}

/** `offset`: characters of this choice before these tokens. */
export function textLogprobs(tokens: readonly TokenLogprob[], offset: number) {
  const offsets: number[] = []
  let at = offset
  for (const { token } of tokens) {
    offsets.push(at)
    at += token.length
  }
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map((each) => [each.token, each.logprob]))),
    text_offset: offsets,
  }
}
