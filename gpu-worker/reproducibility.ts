/**
 * Proof that a token's logits do not depend on what else was computed with it: bit for bit, over the batch shapes that an engine
 * uses (several tokens at once, long prompts, neighbours that stay and that leave, other chunks, another slot, restored cells).
 *
 * Run in idle, once per model, library, processor and threads; the answer is kept by the caller. It needs a runner whose slots
 * are empty, leaves them empty, and gives way between two decodes when asked to.
 */
import assert from 'node:assert/strict'
import type { BatchSpan, ModelRunner, Slot } from './modelRunner.ts'

export type Proof =
  | { readonly kind: 'reproducible'; readonly comparisons: number }
  /** The first shape whose logits differed, and by how much at most. */
  | { readonly kind: 'differs'; readonly shape: string; readonly differenceMax: number }
  /** `mayContinue` said no; nothing is known. */
  | { readonly kind: 'interrupted' }

export interface ProofOptions {
  /** Asked before each decode. */
  readonly mayContinue?: () => boolean
  /** Tokens before those that are compared: caches change their path at 512 cells. */
  readonly promptTokens?: number
  readonly comparedTokens?: number
}

interface Shape {
  readonly name: string
  readonly slot: Slot
  /** Tokens of one decode while the prompt is computed; undefined: the saved cells of the reference are restored. */
  readonly promptChunk: number | undefined
  /** Compared tokens of one decode. */
  readonly rows: number
  readonly neighbours: number
  /** A neighbour stands before it in the cache and ends: in the unified layout later tokens then stand in its cells, before earlier ones. */
  readonly hasLeaver?: boolean
}

/** Room for all that is compared, and more. */
const leaverTokens = 40

class Interrupted extends Error {}

export async function proveReproducible(runner: ModelRunner, options: ProofOptions = {}): Promise<Proof> {
  const text = textOf(runner, options)
  const run = new ProofRun(runner, text, options.mayContinue ?? (() => true))
  try {
    const reference = await run.reference()
    let comparisons = 0
    for (const shape of shapesFor(runner, text)) {
      const differenceMax = await run.compare(shape, reference)
      comparisons += text.compared.length
      if (differenceMax !== 0) return { kind: 'differs', shape: shape.name, differenceMax }
    }
    return { kind: 'reproducible', comparisons }
  } catch (error) {
    if (error instanceof Interrupted) return { kind: 'interrupted' }
    throw error
  } finally {
    for (let slot = 0; slot < runner.info.slots; slot++) runner.truncate(slot, 0)
  }
}

interface Text {
  readonly prompt: readonly number[]
  readonly compared: readonly number[]
}

/** Any tokens do: each is as good a test as another, and these need no tokenizer. */
function textOf(runner: ModelRunner, options: ProofOptions): Text {
  const { contextTokensMax, vocabularySize } = runner.info
  const compared = Math.min(options.comparedTokens ?? 16, Math.floor(contextTokensMax / 4))
  const prompt = Math.min(options.promptTokens ?? 600, contextTokensMax - compared - 64)
  const tokenAt = (i: number) => (i * 7_919 + 101) % vocabularySize
  return {
    prompt: Array.from({ length: Math.max(1, prompt) }, (_, i) => tokenAt(i)),
    compared: Array.from({ length: compared }, (_, i) => tokenAt(i + 100_003)),
  }
}

function shapesFor(runner: ModelRunner, text: Text): Shape[] {
  const last = runner.info.slots - 1
  const restored = { slot: 0, promptChunk: undefined, neighbours: 0 }
  const rows = [2, 3, 5, 8, text.compared.length].map((count) => ({ ...restored, name: `${count} rows`, rows: count }))
  const neighbours = [1, 3, 7]
    .filter((count) => count <= last)
    .map((count) => ({ ...restored, name: `${count} neighbours`, rows: 1, neighbours: count }))
  const chunks = [17, 64, 256, text.prompt.length].map((chunk) => ({
    name: `prompt in chunks of ${chunk}`,
    slot: 0,
    promptChunk: Math.min(chunk, runner.batchTokensMax),
    rows: 1,
    neighbours: 0,
  }))
  const elsewhere = last > 0 ? [{ ...restored, name: 'another slot', slot: last, rows: 4 }] : []
  const leaver = last > 0 ? [{ ...restored, name: 'after a neighbour has left', rows: 1, hasLeaver: true }] : []
  return [...rows, ...neighbours, ...elsewhere, ...leaver, ...chunks]
}

class ProofRun {
  readonly #runner: ModelRunner
  readonly #text: Text
  readonly #mayContinue: () => boolean
  #promptState: Uint8Array | undefined

  constructor(runner: ModelRunner, text: Text, mayContinue: () => boolean) {
    this.#runner = runner
    this.#text = text
    this.#mayContinue = mayContinue
  }

  /** One token at a time, alone, after a prompt in small chunks. */
  async reference(): Promise<Float32Array[]> {
    const reference: Float32Array[] = []
    await this.#prompt(0, 48)
    this.#promptState = this.#runner.saveSequence(0)
    await this.#decodeCompared({ slot: 0, rows: 1, neighbours: 0 }, (logits) => reference.push(logits.slice()))
    this.#runner.truncate(0, 0)
    return reference
  }

  async compare(shape: Shape, reference: readonly Float32Array[]): Promise<number> {
    await this.#prepare(shape)
    let differenceMax = 0
    await this.#decodeCompared(shape, (logits, i) => {
      const expected = reference[i]
      assert(expected !== undefined)
      differenceMax = Math.max(differenceMax, greatestDifference(logits, expected))
    })
    for (let slot = 0; slot < this.#runner.info.slots; slot++) this.#runner.truncate(slot, 0)
    return differenceMax
  }

  async #prepare(shape: Shape): Promise<void> {
    if (shape.hasLeaver === true) await this.#prompt(1, leaverTokens, leaverTokens)
    if (shape.promptChunk !== undefined) await this.#prompt(shape.slot, shape.promptChunk)
    else assert(this.#promptState !== undefined && this.#runner.restoreSequence(shape.slot, this.#promptState))
    for (let slot = 1; slot <= shape.neighbours; slot++) {
      // Other tokens and other lengths than the sequence that is compared.
      const tokens = this.#text.prompt.slice(slot, slot + 8 + 3 * slot)
      await this.#decode([{ slot, position: 0, tokens, logitsForLast: 0 }])
    }
    if (shape.hasLeaver === true) this.#runner.truncate(1, 0)
  }

  async #prompt(slot: Slot, chunk: number, tokensMax = Number.POSITIVE_INFINITY): Promise<void> {
    const prompt = this.#text.prompt.slice(0, tokensMax)
    for (let position = 0; position < prompt.length; position += chunk)
      await this.#decode([{ slot, position, tokens: prompt.slice(position, position + chunk), logitsForLast: 0 }])
  }

  async #decodeCompared(
    shape: { slot: Slot; rows: number; neighbours: number },
    see: (logits: Float32Array, i: number) => void,
  ): Promise<void> {
    const { prompt, compared } = this.#text
    for (let i = 0; i < compared.length; i += shape.rows) {
      const tokens = compared.slice(i, i + shape.rows)
      const span = { slot: shape.slot, position: prompt.length + i, tokens, logitsForLast: tokens.length }
      await this.#decode([span, ...this.#neighbourSpans(shape.neighbours, i)])
      for (let row = 0; row < tokens.length; row++) see(this.#runner.logits(row), i + row)
    }
  }

  #neighbourSpans(count: number, step: number): BatchSpan[] {
    return Array.from({ length: count }, (_, i) => {
      const slot = i + 1
      const tokens = [this.#text.compared[step % this.#text.compared.length] ?? 0]
      const position = Math.min(this.#text.prompt.length - slot, 8 + 3 * slot) + step
      return { slot, position, tokens, logitsForLast: 1 }
    })
  }

  async #decode(spans: BatchSpan[]): Promise<void> {
    if (!this.#mayContinue()) throw new Interrupted()
    const result = await this.#runner.decode(spans)
    if (result.kind === 'aborted') throw new Interrupted()
    assert(result.kind === 'decoded', 'the proof needs a runner with empty slots')
  }
}

/** NaN counts as infinitely far: a broken row must not pass as an equal one. */
function greatestDifference(a: Float32Array, b: Float32Array): number {
  let greatest = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] ?? 0) - (b[i] ?? 0))
    if (Number.isNaN(difference)) {
      if (a[i] !== b[i]) return Number.POSITIVE_INFINITY
    } else if (difference > greatest) greatest = difference
  }
  return greatest
}
