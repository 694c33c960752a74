/**
 * A small model of its own that proposes tokens, the likeliest ones or draws: one decode per draft position, or layer of a tree, over all
 * sequences that draft.
 *
 * Owns model and context; both live until `close`. Follows the target lazily (`draftCells.ts`), a bounded number of tokens per step,
 * so that a long prompt does not hold the running streams up: until it has caught up, a sequence has no draft. Any fault of the native
 * library is a `Failure`, on which the worker goes on without a draft.
 */
import { Failure } from '#contracts/failure.ts'
import type { Log } from '#runtime/log.ts'
import type { Proposal, ProposalRequest } from '../core/speculation/proposer.ts'
import { confidenceRule, type StopRule } from '../core/speculation/stopping/stopRule.ts'
import { emptyTree } from '../core/speculation/tokenTree.ts'
import { meaningsOf, vocabularyFault } from '../draftVocabulary.ts'
import type { BatchSpan, ModelRunner } from '../modelRunner.ts'
import type { Proposer } from '../proposer.ts'
import { DraftCells, type DraftPlace, keptCells } from './draftCells.ts'
import { ChainDrafting, type Drafting } from './draftChain.ts'
import { DraftLaws } from './draftLaws.ts'
import { TreeDrafting } from './draftTree.ts'
import { loadLibrary } from './library.ts'
import { NativeContext } from './nativeContext.ts'
import { NativeModel } from './nativeModel.ts'
import type { Backend, Host } from './packages.ts'
import { SpareSequences, spareCells, sparesOf } from './spareSequences.ts'
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
    const cellsMax = slots * contextTokensMax + spareCells(options.target.info)
    const roomFault = options.roomFault?.(cellsMax * model.bytesPerToken('f16')) ?? null
    if (roomFault !== null) {
      model[Symbol.dispose]()
      return { kind: 'no-room', fault: roomFault }
    }
    const context = await NativeContext.open(model, {
      sequences: slots + sparesOf(options.target.info),
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

class DraftProposer implements Proposer {
  readonly method = 'draft'
  readonly #model: NativeModel
  readonly #context: NativeContext
  readonly #vocabulary: Vocabulary
  readonly #target: ModelRunner
  readonly #rule: StopRule
  readonly #laws: DraftLaws
  readonly #cells: DraftCells
  readonly #forks: SpareSequences

  constructor(
    model: NativeModel,
    context: NativeContext,
    vocabulary: Vocabulary,
    { target, rule }: Pick<DraftOptions, 'target' | 'rule'>,
  ) {
    const { slots, vocabularySize } = target.info
    this.#model = model
    this.#context = context
    this.#vocabulary = vocabulary
    this.#target = target
    this.#rule = rule ?? confidenceRule()
    this.#laws = new DraftLaws(Math.min(vocabularySize, vocabulary.size))
    this.#cells = new DraftCells(slots)
    this.#forks = new SpareSequences(context, { first: slots, count: sparesOf(target.info) })
  }

  async propose(requests: readonly ProposalRequest[]): Promise<Proposal[]> {
    this.#context.threads = this.#target.threads
    const drafts = await this.#catchUp(requests)
    while (await this.#extend([...drafts.values()])) continue
    return requests.map(({ key }) => {
      const { tree, confidence } = drafts.get(key)?.finish() ?? { tree: emptyTree, confidence: [] }
      return { key, method: this.method, tree, confidence }
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

  /** Computes what the draft has not seen; sequences that have it all then begin to draft. */
  async #catchUp(requests: readonly ProposalRequest[]): Promise<Map<number, Drafting>> {
    const spans: BatchSpan[] = []
    const ready: { readonly place: DraftPlace; readonly request: ProposalRequest }[] = []
    let room = Math.max(catchUpTokensMax, requests.length)
    for (const { place, request } of this.#placed(requests)) {
      const kept = this.#rewind(place, request.tokens)
      const missing = request.tokens.slice(kept, Math.min(request.tokens.length, kept + room))
      if (missing.length === 0 || !missing.every((token) => this.#vocabulary.isToken(token))) continue
      room -= missing.length
      const isCaughtUp = kept + missing.length === request.tokens.length
      spans.push({ slot: place.sequence, position: kept, tokens: missing, logitsForLast: isCaughtUp ? 1 : 0 })
      place.tokens.push(...missing)
      if (isCaughtUp) ready.push({ place, request })
    }
    if (spans.length > 0) await this.#decode(spans)
    const trees = ready.filter(({ request }) => this.#isTree(request)).length
    return new Map(
      ready.map(({ place, request }, row) => {
        const drafting = this.#begin(place, request, Math.floor(this.#forks.count / Math.max(1, trees)))
        drafting.take([this.#row(row)])
        return [request.key, drafting]
      }),
    )
  }

  #isTree({ tokensMax, depthMax }: ProposalRequest): boolean {
    return depthMax < tokensMax && this.#forks.count > 0
  }

  #begin(place: DraftPlace, request: ProposalRequest, pathsMax: number): Drafting {
    const options = {
      place,
      request,
      laws: this.#laws,
      rule: this.#rule,
      meanings: this.#vocabulary,
    }
    return this.#isTree(request)
      ? new TreeDrafting({ ...options, forks: this.#forks, pathsMax })
      : new ChainDrafting(options)
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

  /** One more token for each chain and one more layer for each tree, in one batch; false where all are complete. */
  async #extend(drafts: readonly Drafting[]): Promise<boolean> {
    const wanted = drafts
      .map((drafting) => ({ drafting, spans: drafting.next() }))
      .filter(({ spans }) => spans.length > 0)
    if (wanted.length === 0) return false
    await this.#decode(wanted.flatMap(({ spans }) => spans))
    let row = 0
    for (const { drafting, spans } of wanted) drafting.take(spans.map(() => this.#row(row++)))
    return true
  }

  async #decode(spans: readonly BatchSpan[]): Promise<void> {
    const outcome = await this.#context.decode(spans, { isBrief: false })
    if (outcome !== 'decoded')
      throw new Failure('engine-fault', `a step of the draft model was not decoded: ${outcome}`)
  }

  #row(row: number): Float32Array {
    return this.#context.logits(row, this.#vocabulary.size)
  }
}
