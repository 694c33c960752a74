/**
 * How many sequences may run at once, where that is decided by an SLO and not by slots alone (`spec.slo.admission: goodput`).
 *
 * Everybody who is let in makes the step of all others longer. From some number on nobody has a token every `tpotMs` any more: the worker is as
 * fast as ever in tokens and serves no request well. So the limit is the most sequences of which each still has its tokens in time; who comes
 * later waits, in the order of arrival, and goes in as soon as somebody leaves. A request that waits past its first token's time is lost, and is
 * not let in for that: it would cost the others theirs. Nobody starves: at least one runs, and the order never changes.
 *
 * Where not even one alone is in time, nothing is won by waiting, and all slots are open.
 */
/**
 * How far the prediction may be over the limit. What counts is the mean of a whole answer, in which others leave before new ones come; on the
 * trace of `test/bench/speculationTrace.ts` 1 to 1.1 serve alike, and 1.2 loses what it lets in.
 */
const leeway = 1.05

export interface AdmissionFacts {
  /** What the engine has room for. */
  readonly slots: number
  readonly tpotMs: number
  /** What a token of each sequence takes where so many run. */
  readonly tokenMs: (sequences: number) => number
}

export function sequencesMax({ slots, tpotMs, tokenMs }: AdmissionFacts): number {
  for (let sequences = slots; sequences > 0; sequences--) if (tokenMs(sequences) <= leeway * tpotMs) return sequences
  return slots
}
