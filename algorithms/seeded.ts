/**
 * Numbers in [0, 1) that depend on a seed alone (mulberry32): for what must come out the same on every machine. Good enough for
 * shuffles and choices; nothing that anybody must not guess.
 */
export function seeded(seed: number): () => number {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  // The first numbers of neighbouring seeds are alike.
  for (let i = 0; i < 4; i++) next()
  return next
}
