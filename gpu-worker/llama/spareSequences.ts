/**
 * Sequence ids of a draft's context that belong to no request: paths of trees borrow them. Empty whenever they are not lent. The unified
 * layout alone has any, because only there a path can share the cells of another.
 */
import type { RunnerInfo } from '../modelRunner.ts'
import type { Forks } from './draftTree.ts'
import type { NativeContext } from './nativeContext.ts'

/** Paths of all trees of a step: beyond a few each, the nodes are better spent on depth. */
const sparesMax = 32
/** llama.cpp knows no more (LLAMA_MAX_SEQ). */
const sequencesMax = 256
/** Drafts of one sequence: nodes of trees beside the cells that the sequences need. */
const nodesMax = 64

type Layout = Pick<RunnerInfo, 'kvLayout' | 'slots' | 'forksMax'>

/** None where the target verifies no trees. */
export const sparesOf = ({ kvLayout, slots, forksMax }: Layout): number =>
  kvLayout === 'unified' && forksMax > 0 ? Math.max(0, Math.min(sparesMax, sequencesMax - slots)) : 0

/** Cells for the nodes of trees, so that a full context does not cost the draft. */
export const spareCells = (layout: Layout): number => (sparesOf(layout) > 0 ? nodesMax * layout.slots : 0)

export class SpareSequences implements Forks {
  readonly count: number
  readonly #context: NativeContext
  readonly #free: number[]

  constructor(context: NativeContext, { first, count }: { readonly first: number; readonly count: number }) {
    this.#context = context
    this.count = count
    this.#free = Array.from({ length: count }, (_, i) => first + i)
  }

  borrow(count: number): number[] {
    return this.#free.splice(0, count)
  }

  giveBack(ids: readonly number[]): void {
    for (const id of ids) this.#context.truncate(id, 0)
    this.#free.push(...ids)
  }

  fork(from: number, to: number, position: number): void {
    // It may hold a path that has ended.
    this.#context.truncate(to, 0)
    this.#context.copySequence(from, to, 0, position)
  }
}
