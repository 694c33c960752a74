/**
 * What a target would have taken of a draft's tokens, along texts that the target wrote: what the acceptance head learns from.
 *
 * Teacher forcing, in two ways. After every token of an answer: the token that a draft would begin with there. And from every few
 * of them a draft to its end, on its own tokens, each judged by the target behind the same tokens (what SpecDec++ gets by mixing
 * draft tokens into the text); such a token is met as often as all before it are taken, and weighs as much. Each is taken with
 * min(1, p/q), under the request's own sampling: of a token that is drawn q is its probability in the draft, of the likeliest one 1.
 *
 * One text at a time, in slot 0 of both runners, which are empty before and after. Tokens are picked and described as the worker's own
 * draft does it (`draftLaws.ts`, `mostLikely.ts`).
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import type { Chance } from '../core/speculation/chance.ts'
import { probabilityOf } from '../core/speculation/law.ts'
import { LawReader, type Processing } from '../core/speculation/processedLaw.ts'
import type { HeadExample } from '../core/speculation/stopping/acceptanceHead.ts'
import type { DraftToken } from '../core/speculation/stopping/stopRule.ts'
import { DraftLaws } from '../llama/draftLaws.ts'
import { draftTokenOf, drawnTokenOf, mostLikely } from '../llama/mostLikely.ts'
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

/** How draft tokens are picked: the likeliest one, or a draw from the draft's law. */
export type Picking = 'best' | 'drawn'

/** What a draft would propose at one place. */
interface Proposed {
  readonly token: number
  /** The probability it was picked with. */
  readonly picked: number
  readonly drafted: DraftToken
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
      const taken = await this.#takenAlong(tokens, first, { proposed, processing: text.processing })
      const examples: HeadExample[] = []
      for (const [i, one] of proposed.entries())
        if (one !== null) examples.push(exampleOf(one, { position: 1, before: 1, taken: taken[i] ?? 0, weight: 1 }))
      // From the end: what a draft leaves behind the place it began at is cut off, and the cells before it stay right.
      for (let i = proposed.length - 1; i >= 0; i--) {
        const begin = proposed[i]
        if (begin === null || begin === undefined || i % this.#options.draftEvery !== 0) continue
        const draft = { begin, cells: first + i + 1, taken: taken[i] ?? 0, processing: text.processing, pick }
        examples.push(...(await this.#examplesBehind(draft)))
      }
      return examples
    } finally {
      this.#target.truncate(0, 0)
      this.#draft.truncate(0, 0)
    }
  }

  /** What the draft would begin with behind each token from `first` on, the last one left out. */
  async #proposedAlong(tokens: readonly number[], first: number, pick: Pick): Promise<(Proposed | null)[]> {
    const proposed: (Proposed | null)[] = []
    await force(this.#draft, tokens.slice(0, -1), first, (row) => void proposed.push(pick(row)))
    return proposed
  }

  async #takenAlong(
    tokens: readonly number[],
    first: number,
    { proposed, processing }: { readonly proposed: readonly (Proposed | null)[]; readonly processing: Processing },
  ): Promise<number[]> {
    const taken: number[] = []
    await force(this.#target, tokens.slice(0, -1), first, (row) => {
      const one = proposed[taken.length]
      taken.push(one === null || one === undefined ? 0 : this.#taken(row, one, processing))
    })
    return taken
  }

  /** The rest of one draft, whose first token has an example already. */
  async #examplesBehind(draft: {
    readonly begin: Proposed
    /** Cells before it. */
    readonly cells: number
    readonly taken: number
    readonly processing: Processing
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
      const taken = this.#taken(this.#target.logits(row), one, draft.processing)
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
      const next = pick(this.#draft.logits(0))
      if (next === null) break
      chain.push(next)
      last = next
    }
    return chain
  }

  #pickingOf(picking: Picking, processing: Processing): Pick {
    switch (picking) {
      case 'best':
        return (logits) => {
          const best = mostLikely(logits)
          // Padding beyond the target's vocabulary is nobody's token.
          if (best.token >= this.#target.info.vocabularySize) return null
          return { token: best.token, picked: 1, drafted: draftTokenOf(best) }
        }
      case 'drawn':
        return (logits) => {
          const law = this.#draftLaws.read(logits, processing)
          const token = this.#chance.draw(law)
          return { token, picked: probabilityOf(law, token), drafted: drawnTokenOf(law, token) }
        }
      default:
        return picking satisfies never
    }
  }

  #taken(logits: Float32Array, { token, picked }: Proposed, processing: Processing): number {
    return Math.min(1, probabilityOf(this.#laws.read(logits, processing), token) / picked)
  }
}

/** null: what the draft proposes is no token of the target. */
type Pick = (logits: Float32Array) => Proposed | null

function exampleOf(
  { drafted }: Proposed,
  at: { readonly position: number; readonly before: number; readonly taken: number; readonly weight: number },
): HeadExample {
  const { position, before, taken, weight } = at
  return { position, product: before * drafted.chance, token: drafted, taken, weight }
}

/** Computes `tokens` in an empty slot; `onRow` sees the rows of `tokens[first]` and all after it, in their order. */
async function force(
  runner: ModelRunner,
  tokens: readonly number[],
  first: number,
  onRow: (logits: Float32Array) => void,
): Promise<void> {
  const chunkMax = Math.min(runner.batchTokensMax, 256)
  for (let position = 0; position < tokens.length; ) {
    const isBefore = position < first
    const end = isBefore ? Math.min(first, position + chunkMax) : Math.min(tokens.length, position + rowsMax)
    const chunk = tokens.slice(position, end)
    const logitsForLast = isBefore ? 0 : chunk.length
    await step(runner, { slot: 0, position, tokens: chunk, logitsForLast })
    for (let row = 0; row < logitsForLast; row++) onRow(runner.logits(row))
    position = end
  }
}

async function step(runner: ModelRunner, span: Parameters<ModelRunner['decode']>[0][number]): Promise<void> {
  const decoded = await runner.decode([span])
  if (decoded.kind !== 'decoded')
    throw new Failure('engine-fault', `the engine did not compute ${span.tokens.length} tokens: ${decoded.kind}`)
}
