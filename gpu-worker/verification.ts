/**
 * Judges what was drafted for one sequence, once the rows of its step are there: which drafts become text, and what follows them.
 *
 * Two ways, both lossless. Coupled: at each node the sequence chooses its token as if nothing had been drafted, and goes on as long as a
 * draft has it; so the text is the same with and without drafts. By laws, where the drafts are draws and the request has no seed to
 * keep (`core/speculation/verifierChoice.ts`): the sequence takes the token that the verifier makes coincide with a draft, in the law it
 * would have drawn from; a place without drafts is drawn as ever. Either way a row is read at most once, from the root downwards,
 * along the accepted path alone, because sampling keeps its state on the way.
 *
 * Of every so many judged places one tells how near it was to the best possible (`core/speculation/bound.ts`).
 */
import { Failure } from '#contracts/failure.ts'
import type { Clock } from '#runtime/clock.ts'
import { uniform } from './core/sampling/noise.ts'
import type { Judge } from './core/sampling/sampler.ts'
import { advance } from './core/sequence.ts'
import { optimalOf } from './core/speculation/bound.ts'
import { type Chance, chanceFrom } from './core/speculation/chance.ts'
import { LawReader, type Processing } from './core/speculation/processedLaw.ts'
import type { Drawing } from './core/speculation/proposer.ts'
import { root, type TokenTree } from './core/speculation/tokenTree.ts'
import { type Draft, walk } from './core/speculation/verifier.ts'
import { drawingFor, verifierOfDraws } from './core/speculation/verifierChoice.ts'
import type { Choice } from './job.ts'
import type { Meter } from './meter.ts'
import type { Span } from './step.ts'

/** The logits after a node of the draft; `root`: after the sequence's own last token. */
export type RowAfter = (node: number) => Float32Array

export interface Judgement {
  /** Drafts that became text, from the root downwards. */
  readonly path: readonly number[]
  /** Tokens of text: these, and the target's own after them, where the sequence did not end with a draft. */
  readonly gained: number
  readonly accepted: number
  /** How deep into the draft was looked: `accepted === judged` says nothing about the depth after it. */
  readonly judged: number
  /** A row could not be sampled; the sequence has what it gained before. */
  readonly failure: Failure | null
}

/** Stands for the token of a sequence that has none: no draft equals it. */
const noToken = -1
/** One judged place in so many is measured against the best possible: a millisecond where a law has to be read for it. */
const placesPerSample = 64
/**
 * What judging by laws may take of a step: about as much as it brings. One draw is accepted a tenth (temperature 0.8) to a fifth (1.3) more often
 * than the token of the same noise, which is 4 to 8 % more tokens of a short chain.
 */
const lawsShareMax = 0.05
const followRate = 0.1
/** For each place that is judged otherwise: one slow measurement is not believed for ever, and laws are tried again after some hundred steps. */
const forgetting = 0.9998
const followed = (before: number | null, ms: number) => (before === null ? ms : before + followRate * (ms - before))
/** Keeps a verifier's chance apart from the noise that the same request's other tokens are drawn with. */
const chanceSeed = 0x3c6e_f372

export interface VerificationOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly vocabularySize: number
  readonly meter: Pick<Meter, 'sampledAcceptance'>
  /** What a verifier decides by at the sequence's next position; default: by the request's seed. */
  readonly chanceAt?: (choice: Choice) => Chance
}

export class Verification {
  readonly #vocabularySize: number
  readonly #meter: Pick<Meter, 'sampledAcceptance'>
  readonly #chanceAt: (choice: Choice) => Chance
  readonly #clock: Pick<Clock, 'now'>
  #reader: LawReader | null = null
  /** What a place that is judged by laws takes. */
  #judgedMs: number | null = null
  #places = 0

  constructor(options: VerificationOptions) {
    this.#vocabularySize = options.vocabularySize
    this.#meter = options.meter
    this.#clock = options.clock
    this.#chanceAt = options.chanceAt ?? seededChance
  }

  judge({ choice, draft }: Pick<Span, 'choice' | 'draft'>, rowAfter: RowAfter): Judgement {
    const drawing = draft.laws === null ? null : judgedLawOf(choice)
    let gained = 0
    let judged = 0
    let failure: Failure | null = null
    const { path } = walk(draft, (node, children) => {
      // It ended with the draft that was just accepted: nobody reads that token's row, and it needs no cell.
      if (choice.finish !== null) return noToken
      if (node !== root) advance(choice.sequence, 1)
      try {
        const row = rowAfter(node)
        const token =
          children.length === 0 ? choice.choose(row) : this.#judgeAt({ choice, draft, drawing, children, row })
        gained += 1
        if (children.length > 0) judged += 1
        return token
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        failure = error
        return noToken
      }
    })
    return { path, gained, accepted: path.length, judged, failure }
  }

  #judgeAt({ choice, draft, drawing, children, row }: Place): number {
    this.#places += 1
    if (drawing === null && this.#judgedMs !== null) this.#judgedMs *= forgetting
    const isSampled = this.#places % placesPerSample === 1 && !choice.hasGrammar && draft.knowsNoise !== true
    if (drawing === null && !isSampled) return choice.choose(row)
    let best: number | null = null
    const judge: Judge = (logits) => {
      const target = this.#laws.look(logits, drawing ?? choice.job.request.sampling)
      if (isSampled)
        best = optimalOf(
          target,
          children.map((child) => siblingOf(draft, child)),
        )
      const [first, ...others] = drawing === null ? [] : children.flatMap((child) => drawOf(draft, child) ?? [])
      return first === undefined ? null : verifierOfDraws.judge(target, [first, ...others], this.#chanceAt(choice))
    }
    const startedAt = this.#clock.now()
    const token = choice.choose(row, judge)
    // One that is sampled takes longer.
    if (!isSampled) this.#judgedMs = followed(this.#judgedMs, this.#clock.now() - startedAt)
    const accepted = children.some((child) => draft.tokens[child] === token)
    if (best !== null) this.#meter.sampledAcceptance({ accepted, best })
    return token
  }

  /**
   * Whether draws and their laws are worth their price in a step of so many sequences: they are accepted more often than tokens picked by the same
   * noise, and take the target's law at each place. What nobody has measured yet is.
   */
  lawsPay({ sequences, stepMs }: { readonly sequences: number; readonly stepMs: number }): boolean {
    return this.#judgedMs === null || sequences * this.#judgedMs <= lawsShareMax * stepMs
  }

  /** Made when first needed: scratch memory for a whole vocabulary. */
  get #laws(): LawReader {
    return (this.#reader ??= new LawReader(this.#vocabularySize))
  }
}

/** How drafts for this sequence are to be picked; null: they are to be the likeliest tokens. */
export function drawingOf(choice: Choice, lawsPay: boolean): Drawing | null {
  const { hasGrammar, seed } = choice
  return drawingFor(choice.job.request.sampling, { hasGrammar, seed, lawsPay })
}

/** The target's law, where drafts that were drawn are judged by it; null: they are judged like any other, whatever laws they name. */
function judgedLawOf(choice: Choice): Processing | null {
  const drawing = drawingOf(choice, true)
  return drawing?.kind === 'own-chance' ? drawing.processing : null
}

/** A node with drafts, and its row. */
interface Place {
  readonly choice: Choice
  readonly draft: TokenTree
  readonly drawing: Processing | null
  readonly children: readonly number[]
  readonly row: Float32Array
}

const siblingOf = (draft: TokenTree, node: number) => ({
  token: draft.tokens[node] ?? noToken,
  law: draft.laws?.[node] ?? null,
})

function drawOf(draft: TokenTree, node: number): Draft | null {
  const { token, law } = siblingOf(draft, node)
  return law === null ? null : { token, law }
}

/** Of the token that is about to be chosen: each position is judged once, so no draw of it is used twice. */
function seededChance({ seed, sequence }: Choice): Chance {
  const position = sequence.tokens.length
  let lane = 0
  return chanceFrom(() => uniform(seed ^ chanceSeed, position, lane++))
}
