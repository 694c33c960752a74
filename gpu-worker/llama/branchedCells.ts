/**
 * Draft trees in a cache that knows sequences and no trees: every path is a sequence of its own, and cells of shared nodes belong to all
 * of them (`core/speculation/treeSequences.ts`). Owns the spare sequence ids of one context in the unified layout, where such copies
 * write no cell.
 *
 * Between `branch` and `keep` or `drop` a slot's tree is open; the runner lets no other decode begin before. After that only the slot's
 * own sequence holds cells.
 */
import assert from 'node:assert/strict'
import { Failure } from '#contracts/failure.ts'
import { depthsOf } from '../core/speculation/tokenTree.ts'
import { assignSequences, commitOf, leavesOf, type TreeSequences } from '../core/speculation/treeSequences.ts'
import { assertPath, type BatchSpan, type Slot } from '../modelRunner.ts'
import type { NativeSpan } from './batch.ts'
import type { NativeContext } from './nativeContext.ts'

interface OpenTree {
  readonly sequences: TreeSequences
  readonly parents: readonly number[]
  /** Cells before the tree: known tokens and those of the same batch. */
  readonly trunk: number
}

export class BranchedCells {
  readonly #context: NativeContext
  /** Ascending. */
  readonly #spare: number[]
  readonly #open = new Map<Slot, OpenTree>()

  constructor(context: NativeContext, ids: { readonly slots: number; readonly forks: number }) {
    this.#context = context
    this.#spare = Array.from({ length: ids.forks }, (_, i) => ids.slots + i)
  }

  get hasOpen(): boolean {
    return this.#open.size > 0
  }

  assertClosed(slot: Slot): void {
    assert(!this.#open.has(slot), `what stays of the tree in slot ${slot} has not been said`)
  }

  /** The batch as llama.cpp must see it: chains are themselves, trees are opened. */
  branch(spans: readonly BatchSpan[]): readonly NativeSpan[] {
    assert(this.#open.size === 0, 'what stays of a tree has not been said')
    let forks = 0
    for (const { parents } of spans) if (parents !== undefined) forks += leavesOf({ parents }).length - 1
    assert(forks <= this.#spare.length, `${forks} paths beyond one per sequence, of ${this.#spare.length}`)
    return spans.map((span) => (span.parents === undefined ? span : this.#opened(span, span.parents)))
  }

  /** Its forks get the past of the slot. */
  #opened(span: BatchSpan, parents: readonly number[]): NativeSpan {
    const { slot, position, tokens } = span
    const known = tokens.length - parents.length
    const tree = { tokens: tokens.slice(known), parents, laws: null }
    const sequences = assignSequences(tree, { main: slot, spare: this.#spare })
    this.#spare.splice(0, sequences.forks.length)
    this.#open.set(slot, { sequences, parents, trunk: position + known })
    if (position > 0) for (const fork of sequences.forks) this.#context.copySequence(slot, fork, 0, -1)
    return { ...span, branches: { ...sequences, depths: depthsOf(tree) } }
  }

  /** Of the slot's tree this path stays, nodes from the root downwards; returns how many cells the slot has then. */
  keep(slot: Slot, path: readonly number[]): number {
    const tree = this.#open.get(slot)
    assert(tree !== undefined, `slot ${slot} has no tree`)
    const { sequences, trunk, parents } = tree
    assertPath(parents, path)
    const { mainKeeps, copy } = commitOf(sequences, path)
    this.#truncate(slot, trunk + mainKeeps)
    if (copy !== null) this.#context.copySequence(copy.from, slot, trunk + copy.start, trunk + copy.end)
    this.#close(slot, tree)
    return trunk + path.length
  }

  /** Whatever became of the slot's tree: its forks hold nothing more. */
  drop(slot: Slot, position: number): void {
    const tree = this.#open.get(slot)
    if (tree === undefined) return
    assert(position <= tree.trunk, `slot ${slot} is cut at ${position} inside of its tree: keep a path of it instead`)
    this.#close(slot, tree)
  }

  #close(slot: Slot, { sequences }: OpenTree): void {
    for (const fork of sequences.forks) this.#truncate(fork, 0)
    this.#spare.push(...sequences.forks)
    this.#spare.sort((a, b) => a - b)
    this.#open.delete(slot)
  }

  #truncate(sequence: number, position: number): void {
    if (!this.#context.truncate(sequence, position))
      throw new Failure('engine-fault', `this model cannot take back tokens: sequence ${sequence} from ${position}`)
  }
}
