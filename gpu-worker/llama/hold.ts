/**
 * Keeps a parent alive while children use it: the parent is freed when it was disposed and the last hold is released, in
 * whatever order that happens.
 */
import assert from 'node:assert/strict'

export interface Hold {
  release(): void
}

export class Lifetime implements Disposable {
  readonly #free: () => void
  #holds = 0
  #disposed = false

  constructor(free: () => void) {
    this.#free = free
  }

  get isOver(): boolean {
    return this.#disposed
  }

  hold(): Hold {
    assert(!this.#disposed, 'a disposed native object cannot be held')
    this.#holds += 1
    let released = false
    return {
      release: () => {
        if (released) return
        released = true
        this.#holds -= 1
        this.#freeIfUnused()
      },
    }
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#freeIfUnused()
  }

  #freeIfUnused(): void {
    if (this.#disposed && this.#holds === 0) this.#free()
  }
}
