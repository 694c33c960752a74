/**
 * The port between the engine loop and whatever computes logits: llama.cpp (`llama/`) or the simulation (`simulated/`).
 *
 * A runner owns `slots` sequences of `contextTokensMax` cells each and runs one batch at a time. It knows nothing of requests,
 * text deltas, sampling or NATS. The engine loop is its only caller and never overlaps two calls of `decode`. Both
 * implementations pass `test/behaviour/modelRunner`.
 */
import assert from 'node:assert/strict'
import type { ExpertPort } from './expertPort.ts'

/** Index of a sequence in the runner: 0 … slots-1. Throughput is best when running ones are 0..B-1 without gaps. */
export type Slot = number

/** Consecutive tokens of one sequence. Rows of one slot are consecutive; slots ascend through the batch. */
export interface BatchSpan {
  readonly slot: Slot
  /** Position of the first token: the number of cells this sequence already holds. */
  readonly position: number
  readonly tokens: readonly number[]
  /** How many of the last tokens need a logits row: 0 for an inner prompt chunk, 1 for plain decoding, 1 + K to verify a draft. */
  readonly logitsForLast: number
  /**
   * The last so many tokens are a tree of drafts and no chain: for each the index of its parent among them, -1 for the token before all
   * of them; parents stand before their children. Only with `capabilities.trees`. What stays of it is said by `keepPath` or `truncate`
   * before the next decode.
   */
  readonly parents?: readonly number[]
}

export type DecodeResult =
  /** Row i of `logits(i)` belongs to the i-th token with `logitsForLast`, counted through the batch in order. */
  | { readonly kind: 'decoded'; readonly rows: number; readonly decodeMs: number }
  /** `abort()` was called; cells of this batch must be removed with `truncate`. */
  | { readonly kind: 'aborted' }
  /** The cache has no room for this batch (unified layout only): preempt a sequence and try again. */
  | { readonly kind: 'no-cells' }

export interface RunnerInfo {
  readonly kind: 'llamacpp' | 'simulated'
  readonly simulated: boolean
  /** cpu, cuda, vulkan, metal, simulated */
  readonly backend: string
  /** Name and version of the library, for the registration and as part of cache keys. */
  readonly library: string
  readonly cpu: string
  readonly modelName: string
  readonly vocabularySize: number
  readonly contextTokensMax: number
  readonly slots: number
  readonly kvCacheType: string
  readonly kvLayout: 'split' | 'unified'
  readonly bytesPerToken: number
  /** Jinja source from the model file; null where it has none (then only /v1/completions works). */
  readonly chatTemplate: string | null
  readonly beginToken: number | null
  readonly endToken: number | null
  readonly capabilities: Capabilities
  /** Paths that the trees of one batch may have beyond one for each sequence; 0 without `capabilities.trees`. */
  readonly forksMax: number
}

export interface Capabilities {
  readonly embeddings: boolean
  readonly grammar: boolean
  readonly sequenceState: boolean
  /** Drafts that branch are computed in one decode (unified layout only). */
  readonly trees: boolean
}

/** Incremental check of a grammar (GBNF) for one sequence; owned by the caller, disposed with the sequence. */
export interface GrammarMatcher extends Disposable {
  /** Would this token keep the text inside the grammar? Cheap: one token. */
  allows(token: number): boolean
  /** Sets every logit the grammar forbids to -Infinity. Dear (about 6 ms over 49k tokens): only after `allows` said no. */
  mask(logits: Float32Array): void
  /** The token was chosen. */
  accept(token: number): void
}

export interface ModelRunner extends AsyncDisposable {
  readonly info: RunnerInfo

  /** Special tokens in `text` are parsed only where `parseSpecial`; a begin token is added only where `addBegin` and the model wants it. */
  tokenize(text: string, options: { parseSpecial: boolean; addBegin: boolean }): number[]
  /** The bytes of one token; may be part of a UTF-8 character. Empty for control tokens. */
  pieceOf(token: number): Uint8Array
  /** The text of a special token as templates name it (`<|im_end|>`), for `bos_token`/`eos_token`. */
  specialText(token: number): string
  isEndOfGeneration(token: number): boolean
  endOfGenerationTokens(): readonly number[]

  /**
   * One step of at most `batchTokensMax` tokens. Computes on another thread, so that the event loop stays free; with `isBrief` it
   * computes before it returns instead, which saves two hand-overs between threads and holds the event loop meanwhile.
   */
  decode(spans: readonly BatchSpan[], options?: { readonly isBrief: boolean }): Promise<DecodeResult>
  /** A view of one row of the last decode: valid until the next call of `decode`. May be changed in place. */
  logits(row: number): Float32Array
  /** Ends a running decode early (within a few milliseconds on the CPU; others at its end). */
  abort(): void
  readonly batchTokensMax: number
  /** Steps expected to take up to this long gain from `isBrief`; 0: this runner has no use for it. */
  readonly briefMsMax: number

  /** Removes the cells of `slot` from `position` on (0: all), and with them a tree, which never begins before it. */
  truncate(slot: Slot, position: number): void
  /** Of the tree that the last decode has computed in `slot` only this path stays: nodes from the root downwards, none of them: []. */
  keepPath(slot: Slot, path: readonly number[]): void
  /** Copies the cells of one sequence out of the cache. */
  saveSequence(slot: Slot): Uint8Array
  /** Puts saved cells into an empty slot; false where they do not fit this runner. */
  restoreSequence(slot: Slot, state: Uint8Array): boolean
  /** Bytes `saveSequence` would return now. */
  sequenceBytes(slot: Slot): number

  /** L2-normalised mean-pooled (or as the model declares) embedding of each input. */
  embed(inputs: readonly (readonly number[])[]): Promise<Float32Array[]>

  /** Throws `Failure('invalid-request')` where the grammar does not parse. */
  openGrammar(gbnf: string): GrammarMatcher

  readonly threads: number
  setThreads(threads: number): void

  readonly experts: ExpertPort
  /** Rows depend on whether others are in the same pass, and must not: no prompt may leave a lone one behind. Absent: no. */
  readonly avoidsLoneRows?: boolean

  /** Seeded fault of the simulation: should the next request be refused? Asked once per request; absent: never. */
  refuses?(): boolean
}

/** What every batch must hold, on both runners; returns its number of tokens. A broken rule is a bug of the engine loop. */
export function assertBatch(spans: readonly BatchSpan[], tokensMax: number): number {
  assert(spans.length > 0, 'an empty batch')
  let tokens = 0
  let slotBefore = -1
  for (const span of spans) {
    assert(span.slot > slotBefore, `slot ${span.slot} after slot ${slotBefore}: slots must ascend`)
    assert(span.tokens.length > 0, `slot ${span.slot} brings no tokens`)
    assert(
      span.logitsForLast >= 0 && span.logitsForLast <= span.tokens.length,
      `slot ${span.slot}: too many logits rows`,
    )
    if (span.parents !== undefined) assertTree(span, span.parents)
    slotBefore = span.slot
    tokens += span.tokens.length
  }
  assert(tokens <= tokensMax, `${tokens} tokens in a batch of at most ${tokensMax}`)
  return tokens
}

function assertTree({ slot, tokens }: BatchSpan, parents: readonly number[]): void {
  assert(parents.length > 0 && parents.length < tokens.length, `slot ${slot}: a tree hangs on a token of the sequence`)
  assert(
    parents.every((parent, i) => Number.isInteger(parent) && parent >= -1 && parent < i),
    `slot ${slot}: a draft stands before its parent`,
  )
}

/** The nodes that are to stay must follow each other from the root. */
export function assertPath(parents: readonly number[], path: readonly number[]): void {
  for (const [depth, node] of path.entries())
    assert.equal(parents[node], path[depth - 1] ?? -1, `node ${node} does not follow the path ${path.join()}`)
}
