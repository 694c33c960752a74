/**
 * How many tokens a verify step is expected to gain, and the length at which gain per time is best (SmartSpec, arXiv 2406.14066).
 * Pure arithmetic over what others have estimated.
 */

/** Relative gain that a longer draft must bring: equal goodput means the smaller length. */
const tolerance = 1e-9

/** Tokens of one step, bonus included, where each of `length` draft tokens is taken with the same chance, independently. */
export function expectedTokens(acceptance: number, length: number): number {
  if (acceptance >= 1) return length + 1
  return (1 - acceptance ** (length + 1)) / (1 - acceptance)
}

/** The same from cumulative rates: `cumulative[i]` is the chance that the first i + 1 draft tokens are all taken. */
export function expectedTokensOf(cumulative: readonly number[], length: number): number {
  let tokens = 1
  for (let i = 0; i < length; i++) tokens += cumulative[i] ?? 0
  return tokens
}

/** The smallest length of 0 … `lengthMax` at which tokens per time are greatest. */
export function bestLength(options: {
  readonly lengthMax: number
  tokens(length: number): number
  stepMs(length: number): number
}): { readonly length: number; readonly goodput: number } {
  let best = { length: 0, goodput: options.tokens(0) / options.stepMs(0) }
  for (let length = 1; length <= options.lengthMax; length++) {
    const goodput = options.tokens(length) / options.stepMs(length)
    if (isBetter(goodput, best.goodput)) best = { length, goodput }
  }
  return best
}

export function isBetter(goodput: number, before: number): boolean {
  return goodput > before * (1 + tolerance)
}
