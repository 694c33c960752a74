/**
 * The controller that need not learn: it is told how likely the next draft token is taken and what steps and drafts take, and chooses the
 * lengths with the most tokens per time. What any choice of lengths could reach where that is what counts; it never probes.
 */
import type { CostCurve } from '#algorithms/costCurve.ts'
import type { RunningSequence, SpeculationController } from '../../gpu-worker/core/speculation/controller.ts'
import { planLengths } from '../../gpu-worker/core/speculation/lengths.ts'
import { type KvLayout, ShapeCosts } from '../../gpu-worker/core/speculation/shapes.ts'

export interface OracleOptions {
  readonly curve: () => CostCurve
  readonly layout: KvLayout
  /** Now, for all sequences. */
  readonly acceptance: () => number
  /** What a drafted token takes, as a share of a step. */
  readonly draftStepShare: number
}

export function createOracle({ acceptance, draftStepShare, ...of }: OracleOptions): SpeculationController {
  const costs = new ShapeCosts(of)
  return {
    asks(running, { rowsMax, promptTokens }) {
      const contextTokens = running.reduce((sum, sequence) => sum + sequence.contextTokens, 0) / running.length
      const prices = costs.pricesAt({ sequences: running.length, contextTokens, promptTokens })
      const draftMs = (lengths: readonly number[]) =>
        Math.max(...lengths) * draftStepShare * prices.passMs(lengths.filter((length) => length > 0).length)
      const gains = running.map((sequence) => gainsOf(sequence, acceptance()))
      const { lengths } = planLengths({ gains, rowsMax, prices, draftMs })
      return running.flatMap(({ key, methods: [method] }, i) => {
        const tokensMax = lengths[i] ?? 0
        return method === undefined || tokensMax === 0 ? [] : [{ key, method, tokensMax, depthMax: tokensMax }]
      })
    },
    cuts: (_, proposals) => proposals.map(({ key, tree }) => ({ key, nodes: tree.tokens.length })),
    learn: () => undefined,
    forget: () => undefined,
  }
}

function gainsOf({ tokensMax, gainMax = tokensMax }: RunningSequence, acceptance: number): number[] {
  return Array.from({ length: tokensMax }, (_, i) => (i < gainMax ? acceptance ** (i + 1) : 0))
}
