/** What a batch of n rows of one sequence costs, the measure of what a draft must bring in. */
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { median } from './statistics.ts'

/** Median milliseconds of batches of 1 … `rowsMax` rows behind a context of 256 tokens, or as many as are given. */
export async function measureBatchCost(
  runner: ModelRunner,
  options: { readonly rowsMax: number; readonly rounds: number; readonly contextTokens?: number },
): Promise<number[]> {
  const { contextTokens = 256 } = options
  const context = Array.from({ length: contextTokens }, (_, i) => 1_000 + i)
  await runner.decode([{ slot: 0, position: 0, tokens: context, logitsForLast: 0 }])
  const times: number[][] = Array.from({ length: options.rowsMax }, () => [])
  for (let round = 0; round < options.rounds; round++) {
    for (const [i, measured] of times.entries()) {
      const tokens = context.slice(0, i + 1)
      const decoded = await runner.decode([{ slot: 0, position: contextTokens, tokens, logitsForLast: tokens.length }])
      if (decoded.kind !== 'decoded') throw new Error(`a batch of ${tokens.length} rows was not decoded`)
      measured.push(decoded.decodeMs)
      runner.truncate(0, contextTokens)
    }
  }
  runner.truncate(0, 0)
  return times.map(median)
}
