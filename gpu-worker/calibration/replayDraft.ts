/**
 * What a target would have taken of a draft's tokens, along texts that the target wrote: what the acceptance head learns from.
 *
 * Teacher forcing, in two ways. After every token of an answer: the token that a draft would begin with there. And from every few
 * of them a draft to its end, on its own tokens, each judged by the target behind the same tokens (what SpecDec++ gets by mixing
 * draft tokens into the text); such a token is met as often as all before it are taken, and weighs as much. A drawn token is taken with
 * min(1, p/q) under the request's own sampling, a coupled one where the target chooses the same (with the same noise; of a greedy
 * request both take the likeliest).
 *
 * One text at a time, in slot 0 of both runners, which are empty before and after. Tokens are picked and described as the worker's own
 * draft does it (`draftLaws.ts`, `mostLikely.ts`).
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { createSampler } from '../core/sampling/sampler.ts'
import type { Chance } from '../core/speculation/chance.ts'
import { bestOf, probabilityOf } from '../core/speculation/law.ts'
import { LawReader, type Processing } from '../core/speculation/processedLaw.ts'
import type { Drawing } from '../core/speculation/proposer.ts'
import type { HeadExample } from '../core/speculation/stopping/acceptanceHead.ts'
import type { DraftToken } from '../core/speculation/stopping/stopRule.ts'
import { drawingFor } from '../core/speculation/verifierChoice.ts'
import { DraftLaws } from '../llama/draftLaws.ts'
import { believedTokenOf, draftTokenOf, drawnTokenOf } from '../llama/mostLikely.ts'
import type { ModelRunner } from '../modelRunner.ts'

export interface ReplayOptions {
  /** Tokens of one draft. */
  readonly lengthMax: number
  /** A whole draft begins after each so many tokens of an answer. */
  readonly draftEvery: number
}

export interface ReplayText {
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
  /** As the request was sampled. */
  readonly processing: Processing
}

/** How draft tokens are picked and judged: as for a request with a seed, or a draw from the draft's law. */
export type Picking = 'coupled' | 'drawn'

/** What a draft would propose at one place. */
interface Proposed {
  readonly token: number
  readonly drafted: DraftToken
  /** How likely the target takes it. */
  takenBy(logits: Float32Array): number
}

/** Rows of logits that one step leaves in memory: each is as wide as the vocabulary. */
const rowsMax = 64

export class DraftReplay {
  readonly #target: ModelRunner
  readonly #draft: ModelRunner
  readonly #options: ReplayOptions
  readonly #laws: LawReader
  readonly #draftLaws: DraftLaws
  readonly #chance: Chance
  /** Each text has noise of its own. */
  #seed = 1

  constructor(target: ModelRunner, draft: ModelRunner, options: ReplayOptions) {
    assert(options.lengthMax >= 1 && options.draftEvery >= 1, 'a draft has tokens and a beginning')
    this.#target = target
    this.#draft = draft
    this.#options = options
    this.#laws = new LawReader(target.info.vocabularySize)
    this.#draftLaws = new DraftLaws(Math.min(target.info.vocabularySize, draft.info.vocabularySize))
    this.#chance = this.#draftLaws.chanceOf({ key: 0, tokens: [] })
  }

  /** In the order of the text; none for an answer without a token. */
  async examplesOf(text: ReplayText, picking: Picking): Promise<HeadExample[]> {
    const pick = this.#pickingOf(picking, text.processing)
    const tokens = [...text.prompt, ...text.answer]
    const first = text.prompt.length - 1
    if (first < 0 || text.answer.length === 0) return []
    try {
      const proposed = await this.#proposedAlong(tokens, first, pick)
      const taken = await this.#takenAlong(tokens, first, proposed)
      const examples: HeadExample[] = []
      for (const [i, one] of proposed.entries())
        examples.push(exampleOf(one, { position: 1, before: 1, taken: taken[i] ?? 0, weight: 1 }))
      // From the end: what a draft leaves behind the place it began at is cut off, and the cells before it stay right.
      for (let i = proposed.length - 1; i >= 0; i--) {
        const begin = proposed[i]
        if (begin === undefined || i % this.#options.draftEvery !== 0) continue
        const draft = { begin, cells: first + i + 1, taken: taken[i] ?? 0, pick }
        examples.push(...(await this.#examplesBehind(draft)))
      }
      return examples
    } finally {
      this.#target.truncate(0, 0)
      this.#draft.truncate(0, 0)
    }
  }

  /** What the draft would begin with behind each token from `first` on, the last one left out. */
  async #proposedAlong(tokens: readonly number[], first: number, pick: Pick): Promise<Proposed[]> {
    const proposed: Proposed[] = []
    await force(this.#draft, tokens.slice(0, -1), first, (row, position) => void proposed.push(pick(row, position)))
    return proposed
  }

  async #takenAlong(tokens: readonly number[], first: number, proposed: readonly Proposed[]): Promise<number[]> {
    const taken: number[] = []
    await force(this.#target, tokens.slice(0, -1), first, (row) => {
      taken.push(proposed[taken.length]?.takenBy(row) ?? 0)
    })
    return taken
  }

  /** The rest of one draft, whose first token has an example already. */
  async #examplesBehind(draft: {
    readonly begin: Proposed
    /** Cells before it. */
    readonly cells: number
    readonly taken: number
    readonly pick: Pick
  }): Promise<HeadExample[]> {
    const { begin, cells, pick } = draft
    const room = Math.min(this.#target.info.contextTokensMax, this.#draft.info.contextTokensMax) - cells
    const chain = await this.#draftFrom(begin, { cells, lengthMax: Math.min(this.#options.lengthMax, room), pick })
    if (chain.length < 2) return []
    this.#target.truncate(0, cells)
    const inputs = chain.slice(0, -1).map(({ token }) => token)
    await step(this.#target, { slot: 0, position: cells, tokens: inputs, logitsForLast: inputs.length })
    const examples: HeadExample[] = []
    let before = begin.drafted.chance
    let weight = draft.taken
    for (const [row, one] of chain.slice(1).entries()) {
      const taken = one.takenBy(this.#target.logits(row))
      if (weight > 0) examples.push(exampleOf(one, { position: row + 2, before, taken, weight }))
      before *= one.drafted.chance
      weight *= taken
    }
    return examples
  }

  async #draftFrom(
    begin: Proposed,
    { cells, lengthMax, pick }: { readonly cells: number; readonly lengthMax: number; readonly pick: Pick },
  ): Promise<Proposed[]> {
    const chain = [begin]
    this.#draft.truncate(0, cells)
    for (let last = begin; chain.length < lengthMax && !this.#draft.isEndOfGeneration(last.token); ) {
      const position = cells + chain.length - 1
      await step(this.#draft, { slot: 0, position, tokens: [last.token], logitsForLast: 1 })
      const next = pick(this.#draft.logits(0), position + 1)
      chain.push(next)
      last = next
    }
    return chain
  }

  #pickingOf(picking: Picking, processing: Processing): Pick {
    switch (picking) {
      case 'coupled':
        return this.#coupled(processing)
      case 'drawn':
        return (logits) => {
          const law = this.#draftLaws.read(logits, { kind: 'own-chance', processing }, 0)
          const token = this.#chance.draw(law)
          const takenBy = (row: Float32Array) =>
            Math.min(1, probabilityOf(this.#laws.read(row, processing), token) / probabilityOf(law, token))
          return { token, drafted: drawnTokenOf(law, token), takenBy }
        }
      default:
        return picking satisfies never
    }
  }

  #coupled(processing: Processing): Pick {
    const { vocabularySize } = this.#target.info
    const seed = this.#seed++
    const sampling = { ...samplingDefaults, ...processing, seed }
    const sampler = createSampler({ sampling, vocabularySize, endTokens: [], prompt: [] })
    const drawing = drawingFor({ ...sampling, seedDrawn: false }, { hasGrammar: false, seed, lawsPay: false })
    return (logits, position) => {
      const one = this.#pickedFrom(logits, drawing, position)
      const chosenOf = (row: Float32Array) => sampler.sample({ logits: row.slice(), position }).token
      return { ...one, takenBy: (row) => (chosenOf(row) === one.token ? 1 : 0) }
    }
  }

  #pickedFrom(logits: Float32Array, drawing: Drawing | null, position: number): Omit<Proposed, 'takenBy'> {
    if (drawing === null) {
      const best = this.#draftLaws.likeliest(logits)
      return { token: best.token, drafted: draftTokenOf(best) }
    }
    const law = this.#draftLaws.read(logits, drawing, position)
    const token = bestOf(law)
    return { token, drafted: believedTokenOf(law, token) }
  }
}

type Pick = (logits: Float32Array, position: number) => Proposed

function exampleOf(
  { drafted }: Proposed,
  at: { readonly position: number; readonly before: number; readonly taken: number; readonly weight: number },
): HeadExample {
  const { position, before, taken, weight } = at
  return { position, product: before * drafted.chance, token: drafted, taken, weight }
}

/**
 * Computes `tokens` in an empty slot; `onRow` sees the rows of `tokens[first]` and all after it, in their order, and where the token
 * stands that follows.
 */
async function force(
  runner: ModelRunner,
  tokens: readonly number[],
  first: number,
  onRow: (logits: Float32Array, position: number) => void,
): Promise<void> {
  const chunkMax = Math.min(runner.batchTokensMax, 256)
  for (let position = 0; position < tokens.length; ) {
    const isBefore = position < first
    const end = isBefore ? Math.min(first, position + chunkMax) : Math.min(tokens.length, position + rowsMax)
    const chunk = tokens.slice(position, end)
    const logitsForLast = isBefore ? 0 : chunk.length
    await step(runner, { slot: 0, position, tokens: chunk, logitsForLast })
    for (let row = 0; row < logitsForLast; row++) onRow(runner.logits(row), end - logitsForLast + row + 1)
    position = end
  }
}

async function step(runner: ModelRunner, span: Parameters<ModelRunner['decode']>[0][number]): Promise<void> {
  const decoded = await runner.decode([span])
  if (decoded.kind !== 'decoded')
    throw new Failure('engine-fault', `the engine did not compute ${span.tokens.length} tokens: ${decoded.kind}`)
}
