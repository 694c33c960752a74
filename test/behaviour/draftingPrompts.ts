/** Short prompts whose continuations differ in how much of them was written before: lists, code and copies repeat, talk does not. */
import type { Dispatch } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { question, wordsOf } from '../bench/harness/prompts.ts'

const beginnings = [
  (seed: number) => question(seed),
  (seed: number) => `Original: ${wordsOf(seed, 10)}.\nCopy:`,
  (seed: number) => `x${seed} = 1\nx${seed + 1} = 2\nx${seed + 2} =`,
  (seed: number) => `${wordsOf(seed, 4)}, ${wordsOf(seed, 4)}, ${wordsOf(seed, 4)},`,
]

export function draftingPrompts(count: number, sampling: Partial<Dispatch['sampling']>): Partial<Dispatch>[] {
  return Array.from({ length: count }, (_, i) => ({
    work: { kind: 'completion', prompt: beginnings[i % beginnings.length]?.(1_000 + i) ?? '', echo: false },
    sampling: { ...samplingDefaults, temperature: 0, seed: i, maxTokens: 24, ...sampling },
  }))
}
