/**
 * One choice of one request as the engine sees it: its tokens, how many of them are computed, and where it stands.
 *
 * waiting → prompt → running → ended, and from prompt or running back to waiting when its cells are taken (preemption).
 * `tokens` only grows. `computed` counts the cells that hold them: a token is sampled before it is computed, so a running
 * sequence has exactly one token that is not (`tokens.length - computed === 1`), and one that is preempted starts again at 0 with
 * its generated tokens as part of the prompt. Whoever transitions asserts the state it comes from.
 */
import assert from 'node:assert/strict'
import type { Slot } from '../modelRunner.ts'

export type SequenceState =
  | { readonly kind: 'waiting' }
  /** Holds a slot; more than the last token is still to be computed. */
  | { readonly kind: 'prompt'; readonly slot: Slot }
  /** Holds a slot and gains at least one token per step. */
  | { readonly kind: 'running'; readonly slot: Slot }
  | { readonly kind: 'ended' }

export interface Sequence {
  /** Order of arrival, unique in this worker's life; also what "youngest" means. */
  readonly number: number
  readonly promptLength: number
  readonly tokens: number[]
  computed: number
  state: SequenceState
}

export function createSequence(options: { readonly number: number; readonly prompt: readonly number[] }): Sequence {
  assert(options.prompt.length > 0, 'a sequence needs a prompt token')
  return {
    number: options.number,
    promptLength: options.prompt.length,
    tokens: [...options.prompt],
    computed: 0,
    state: { kind: 'waiting' },
  }
}

export function pendingCount(sequence: Sequence): number {
  return sequence.tokens.length - sequence.computed
}

export function generatedCount(sequence: Sequence): number {
  return sequence.tokens.length - sequence.promptLength
}

export function slotOf(sequence: Sequence): Slot | null {
  const { state } = sequence
  return state.kind === 'prompt' || state.kind === 'running' ? state.slot : null
}

/** Takes a slot whose first `computed` cells already hold this sequence's first tokens (0: none). */
export function enterSlot(sequence: Sequence, entry: { readonly slot: Slot; readonly computed: number }): void {
  assert.equal(sequence.state.kind, 'waiting')
  assert(entry.computed < sequence.tokens.length, 'the last token must be computed: its row chooses the next one')
  sequence.computed = entry.computed
  sequence.state = { kind: pendingCount(sequence) > 1 ? 'prompt' : 'running', slot: entry.slot }
}

/** The slot has changed by a move of its cells. */
export function moveTo(sequence: Sequence, slot: Slot): void {
  const { kind } = sequence.state
  assert(kind === 'prompt' || kind === 'running', `a ${kind} sequence has no cells to move`)
  sequence.state = { kind, slot }
}

/** `count` more tokens stand in cells. */
export function advance(sequence: Sequence, count: number): void {
  const { state } = sequence
  assert(state.kind === 'prompt' || state.kind === 'running', `a ${state.kind} sequence computes nothing`)
  assert(count >= 0 && sequence.computed + count <= sequence.tokens.length, 'computed beyond its tokens')
  sequence.computed += count
  if (pendingCount(sequence) <= 1) sequence.state = { kind: 'running', slot: state.slot }
}

/** A token was chosen; its cell is computed by a later step. */
export function appendToken(sequence: Sequence, token: number): void {
  assert.equal(sequence.state.kind, 'running')
  sequence.tokens.push(token)
}

/** Its cells are gone; it will compute everything again. */
export function preempt(sequence: Sequence): void {
  assert(slotOf(sequence) !== null, 'only a sequence with cells can lose them')
  sequence.computed = 0
  sequence.state = { kind: 'waiting' }
}

/** A broken step left its cells in an unknown state; it is about to end. */
export function loseCells(sequence: Sequence): void {
  sequence.computed = 0
}

export function end(sequence: Sequence): void {
  assert.notEqual(sequence.state.kind, 'ended')
  sequence.state = { kind: 'ended' }
}
