/**
 * A speculation controller alone, in numbers: sequences that accept by chance, steps that take what a measured curve says. No engine, no
 * tokens, no clock; thousands of steps a second, so that a controller can be looked at over many seeds.
 */
import type { CostCurve } from '#algorithms/costCurve.ts'
import type { SpeculationController } from '../../gpu-worker/core/speculation/controller.ts'
import type { Proposal } from '../../gpu-worker/core/speculation/proposer.ts'
import { type KvLayout, predictShapeMs } from '../../gpu-worker/core/speculation/shapes.ts'
import { chainOf } from '../../gpu-worker/core/speculation/tokenTree.ts'
import type { Random } from './random.ts'

export interface RoundsOptions {
  readonly controller: SpeculationController
  readonly curve: CostCurve
  readonly layout: KvLayout
  readonly sequences: number
  readonly draftTokensMax: number
  /** The chance that a draft token is taken once those before it are. */
  readonly acceptance: (of: { sequence: number; depth: number; step: number }) => number
  /** Milliseconds of proposing one more token for so many sequences. */
  readonly draftMs?: (sequences: number) => number
  /** Draft-side confidence; constant where it is not given, so that it says nothing. */
  readonly confidence?: (acceptance: number) => number
  readonly random: Random
}

export interface RoundsTotal {
  readonly tokens: number
  readonly ms: number
}

export class Rounds {
  readonly #o: RoundsOptions
  #step = 0
  tokens = 0
  ms = 0
  /** Draft tokens that were verified in the last step, by sequence. */
  lengths: number[] = []
  asked = 0

  constructor(options: RoundsOptions) {
    this.#o = options
  }

  run(steps: number): RoundsTotal {
    const before = { tokens: this.tokens, ms: this.ms }
    for (let i = 0; i < steps; i++) this.#runStep()
    return { tokens: this.tokens - before.tokens, ms: this.ms - before.ms }
  }

  get tokensPerSecond(): number {
    return (1_000 * this.tokens) / this.ms
  }

  #runStep(): void {
    const { controller, curve, layout, sequences, draftTokensMax } = this.#o
    const contextTokens = 256
    const running = Array.from({ length: sequences }, (_, key) => ({
      key,
      contextTokens,
      tokensMax: draftTokensMax,
      methods: ['draft' as const],
    }))
    const facts = { promptTokens: 0, rowsMax: 512 }
    const asks = controller.asks(running, facts)
    this.asked += asks.length
    const depthMax = asks.reduce((max, ask) => Math.max(max, ask.tokensMax), 0)
    const draftMs = depthMax * (this.#o.draftMs?.(asks.length) ?? 0)
    const proposals = asks.map(({ key, tokensMax }) => this.#propose(key, tokensMax))
    const cuts = new Map(
      (asks.length === 0 ? [] : controller.cuts(running, proposals, facts)).map((cut) => [cut.key, cut.nodes]),
    )
    this.lengths = running.map(({ key }) => cuts.get(key) ?? 0)
    const decodeMs = predictShapeMs(curve, layout, {
      counts: this.lengths.map((length) => 1 + length),
      contextTokens,
      promptTokens: 0,
    })
    const rounds = asks.map(({ key, tokensMax, method }) =>
      this.#judge(key, { method, proposed: tokensMax, verified: cuts.get(key) ?? 0 }),
    )
    const asked = new Set(asks.map(({ key }) => key))
    const plain = running.flatMap(({ key }) => (asked.has(key) ? [] : [key]))
    controller.learn({ rounds, plain, draftMs: asks.length === 0 ? {} : { draft: draftMs }, decodeMs })
    this.tokens += sequences + rounds.reduce((sum, { accepted }) => sum + accepted, 0)
    this.ms += decodeMs + draftMs
    this.#step += 1
  }

  #propose(key: number, length: number): Proposal {
    const tokens = Array.from({ length }, (_, i) => i)
    const { confidence = () => 0.55 } = this.#o
    const rates = tokens.map((_, i) => this.#o.acceptance({ sequence: key, depth: i + 1, step: this.#step }))
    return { key, method: 'draft', tree: chainOf(tokens), confidence: rates.map(confidence) }
  }

  #judge(
    key: number,
    round: { method: 'draft' | 'ngram' | 'trigram' | 'simulated'; proposed: number; verified: number },
  ) {
    const { acceptance, random } = this.#o
    let accepted = 0
    while (
      accepted < round.verified &&
      random.next() < acceptance({ sequence: key, depth: accepted + 1, step: this.#step })
    )
      accepted += 1
    return { key, ...round, accepted, depth: Math.min(accepted + 1, round.verified) }
  }
}
