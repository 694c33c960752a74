/**
 * What it is worth to hear a proposer before deciding, by method: milliseconds saved per ask, once its proposals are seen and most of them
 * perhaps dropped. A proposer that is mostly silent or unsure has a poor average and is still worth hearing, because only what is
 * verified costs a row.
 */
import type { ProposerMethod } from './proposer.ts'

const followRate = 0.05

export class LookWorth {
  readonly #savedMs = new Map<ProposerMethod, number>()

  /** Milliseconds per ask; not known until somebody was heard. */
  of(method: ProposerMethod): number | null {
    return this.#savedMs.get(method) ?? null
  }

  /** Proposals of one round were seen; verifying what was chosen of them saves so much against verifying nothing. */
  seen(methods: readonly ProposerMethod[], savedMs: number): void {
    const share = savedMs / methods.length
    for (const method of methods) {
      const before = this.#savedMs.get(method) ?? share
      this.#savedMs.set(method, before + followRate * (share - before))
    }
  }
}
