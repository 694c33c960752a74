/**
 * A small model of its own that proposes greedy chains: one decode per draft position over all sequences that draft.
 *
 * Owns model and context; both live until `close`. Follows the target lazily (`draftCells.ts`), a bounded number of tokens per step,
 * so that a long prompt does not hold the running streams up: until it has caught up, a sequence has no draft. Any fault of the native
 * library is a `Failure`, on which the worker goes on without a draft.
 */
import { Failure } from '#contracts/failure.ts'
import type { Log } from '#runtime/log.ts'
import type { Proposal, ProposalRequest } from '../core/speculation/proposer.ts'
import type { Proposer } from '../proposer.ts'
import { confidenceRule, type DraftState, startOfDraft, type StopRule } from '../core/speculation/stopping/stopRule.ts'
import { chainOf } from '../core/speculation/tokenTree.ts'
import { type TokenMeanings, vocabularyFault } from '../draftVocabulary.ts'
import type { BatchSpan, ModelRunner } from '../modelRunner.ts'
import { DraftCells, type DraftPlace, keptCells } from './draftCells.ts'
import { loadLibrary } from './library.ts'
import { NativeContext } from './nativeContext.ts'
import { NativeModel } from './nativeModel.ts'
import type { Backend, Host } from './packages.ts'
import { draftTokenOf, mostLikely } from './mostLikely.ts'
import { Vocabulary } from './vocabulary.ts'

export interface DraftOptions {
  readonly path: string
  /** Whose tokens it proposes; its threads are the draft's too, because the two compute in turn. */
  readonly target: ModelRunner
  readonly backend: 'auto' | Backend
  readonly host: Host
  readonly log: Log
  /** What its confidence is, and where a draft ends that is to stop by itself; default: the draft's own probabilities. */
  readonly rule?: StopRule
  /** What is missing for cells of so many bytes; null: there is room. */
  readonly roomFault?: (contextBytes: number) => string | null
}

/** Tokens that one step computes to catch up: a chunk of a prompt, so that running streams keep their pace. */
const catchUpTokensMax = 256

export type OpenedDraft =
  | { readonly kind: 'opened'; readonly proposer: Proposer }
  /** Its tokens are not the target's: `fault` says which. */
  | { readonly kind: 'vocabulary-mismatch'; readonly fault: string }
  /** Memory does not hold it. */
  | { readonly kind: 'no-room'; readonly fault: string }

export async function openDraft(options: DraftOptions): Promise<OpenedDraft> {
  const library = loadLibrary(options)
  const model = await NativeModel.load(library, options.path)
  try {
    const vocabulary = new Vocabulary(model)
    const fault = vocabularyFault(meaningsOf(options.target), {
      vocabularySize: vocabulary.size,
      beginToken: vocabulary.beginToken,
      endOfGeneration: vocabulary.endOfGeneration,
      spell: (token) => vocabulary.specialText(token),
    })
    if (fault !== null) {
      model[Symbol.dispose]()
      return { kind: 'vocabulary-mismatch', fault }
    }
    const { slots, contextTokensMax, kvLayout } = options.target.info
    const cellsMax = slots * contextTokensMax
    const roomFault = options.roomFault?.(cellsMax * model.bytesPerToken('f16')) ?? null
    if (roomFault !== null) {
      model[Symbol.dispose]()
      return { kind: 'no-room', fault: roomFault }
    }
    const context = await NativeContext.open(model, {
      sequences: slots,
      cellsMax,
      kvType: 'f16',
      kvLayout,
      batchTokensMax: Math.max(catchUpTokensMax, slots),
      microBatchTokensMax: Math.max(catchUpTokensMax, slots),
      threads: options.target.threads,
      embeddings: false,
    })
    return { kind: 'opened', proposer: new DraftProposer(model, context, vocabulary, options) }
  } catch (error) {
    model[Symbol.dispose]()
    throw error
  }
}

function meaningsOf(target: ModelRunner): TokenMeanings {
  return {
    vocabularySize: target.info.vocabularySize,
    beginToken: target.info.beginToken,
    endOfGeneration: target.endOfGenerationTokens(),
    spell: (token) => target.specialText(token),
  }
}

/** One sequence in one round. */
interface Drafting {
  readonly place: DraftPlace
  readonly lengthMax: number
  readonly tokens: number[]
  readonly confidence: number[]
  /** What the rule makes of it so far. */
  state: DraftState
  readonly stopsEarly: boolean
  /** Nothing follows what it has. */
  isOver: boolean
}

class DraftProposer implements Proposer {
  readonly method = 'draft'
  readonly #model: NativeModel
  readonly #context: NativeContext
  readonly #vocabulary: Vocabulary
  readonly #target: ModelRunner
  readonly #rule: StopRule
  readonly #cells: DraftCells

  constructor(
    model: NativeModel,
    context: NativeContext,
    vocabulary: Vocabulary,
    { target, rule }: Pick<DraftOptions, 'target' | 'rule'>,
  ) {
    this.#model = model
    this.#context = context
    this.#vocabulary = vocabulary
    this.#target = target
    this.#rule = rule ?? confidenceRule()
    this.#cells = new DraftCells(target.info.slots)
  }

  async propose(requests: readonly ProposalRequest[]): Promise<Proposal[]> {
    this.#context.threads = this.#target.threads
    const drafting = await this.#catchUp(requests)
    for (let running = ready(drafting); running.length > 0; running = ready(running)) await this.#extend(running)
    return requests.map(({ key }) => {
      const { tokens, confidence } = drafting.get(key) ?? { tokens: [], confidence: [] }
      return { key, method: this.method, tree: chainOf(tokens), confidence }
    })
  }

  forget(key: number): void {
    const sequence = this.#cells.forget(key)
    if (sequence !== null) this.#context.truncate(sequence, 0)
  }

  close(): void {
    this.#context[Symbol.dispose]()
    this.#model[Symbol.dispose]()
  }

  /** Computes what the draft has not seen; sequences that have it all then have their first draft token. */
  async #catchUp(requests: readonly ProposalRequest[]): Promise<Map<number, Drafting>> {
    const drafting = new Map<number, Drafting>()
    const spans: BatchSpan[] = []
    const rows: Drafting[] = []
    let room = Math.max(catchUpTokensMax, requests.length)
    for (const { place, request } of this.#placed(requests)) {
      const kept = this.#rewind(place, request.tokens)
      const missing = request.tokens.slice(kept, Math.min(request.tokens.length, kept + room))
      if (missing.length === 0 || !missing.every((token) => this.#vocabulary.isToken(token))) continue
      room -= missing.length
      const isCaughtUp = kept + missing.length === request.tokens.length
      spans.push({ slot: place.sequence, position: kept, tokens: missing, logitsForLast: isCaughtUp ? 1 : 0 })
      place.tokens.push(...missing)
      if (!isCaughtUp) continue
      const lengthMax = Math.min(request.tokensMax, request.depthMax)
      const { stopsEarly = false } = request
      const one = { place, lengthMax, tokens: [], confidence: [], state: startOfDraft, stopsEarly, isOver: false }
      rows.push(one)
      drafting.set(request.key, one)
    }
    if (spans.length > 0) await this.#decode(spans, rows)
    return drafting
  }

  /** Those that have a place, in the order of their ids, as a batch must be. */
  #placed(requests: readonly ProposalRequest[]): { place: DraftPlace; request: ProposalRequest }[] {
    const placed = requests.flatMap((request) => {
      const place = this.#cells.of(request.key)
      return place === null ? [] : [{ place, request }]
    })
    return placed.sort((a, b) => a.place.sequence - b.place.sequence)
  }

  /** Removes the cells of refused drafts; how many are left. */
  #rewind(place: DraftPlace, tokens: readonly number[]): number {
    const kept = keptCells(place, tokens)
    if (kept < place.tokens.length) this.#context.truncate(place.sequence, kept)
    place.tokens.length = kept
    return kept
  }

  /** One more token for each. */
  #extend(running: readonly Drafting[]): Promise<void> {
    const spans = running.map(({ place, tokens }) => {
      const last = tokens.slice(-1)
      const span = { slot: place.sequence, position: place.tokens.length, tokens: last, logitsForLast: 1 }
      place.tokens.push(...last)
      return span
    })
    return this.#decode(spans, running)
  }

  async #decode(spans: readonly BatchSpan[], rows: readonly Drafting[]): Promise<void> {
    const outcome = await this.#context.decode(spans, { isBrief: false })
    if (outcome !== 'decoded')
      throw new Failure('engine-fault', `a step of the draft model was not decoded: ${outcome}`)
    for (const [row, drafting] of rows.entries()) {
      const best = mostLikely(this.#context.logits(row, this.#vocabulary.size))
      const { token } = best
      // Padding beyond the target's vocabulary is nobody's token.
      drafting.isOver = token >= this.#target.info.vocabularySize || this.#vocabulary.isEndOfGeneration(token)
      if (token >= this.#target.info.vocabularySize) continue
      const drafted = draftTokenOf(best)
      drafting.tokens.push(token)
      drafting.confidence.push(this.#rule.chance(drafting.state, drafted))
      drafting.state = this.#rule.next(drafting.state, drafted)
      drafting.isOver ||= drafting.stopsEarly && this.#rule.shouldStop(drafting.state)
    }
  }
}

/** Those that have a token and want more. */
function ready(drafting: Map<number, Drafting> | readonly Drafting[]): Drafting[] {
  const all = drafting instanceof Map ? [...drafting.values()] : drafting
  return all.filter(({ tokens, lengthMax, isOver }) => !isOver && tokens.length > 0 && tokens.length < lengthMax)
}
