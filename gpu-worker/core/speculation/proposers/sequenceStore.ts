/**
 * What a proposer remembers of each sequence, by key: made at first sight, made anew where a text was cut, gone when forgotten.
 *
 * Bounded: where an engine forgot to say that a sequence ended, the one not asked for longest makes room.
 */
export interface FollowsText {
  /** Is `tokens` what was seen before, grown or equal? */
  follows(tokens: readonly number[]): boolean
}

export class SequenceStore<Memory extends FollowsText> {
  readonly #sequencesMax: number
  readonly #create: () => Memory
  /** Least recently asked first. */
  readonly #memories = new Map<number, Memory>()

  constructor(sequencesMax: number, create: () => Memory) {
    this.#sequencesMax = sequencesMax
    this.#create = create
  }

  of(key: number, tokens: readonly number[]): Memory {
    const present = this.#memories.get(key)
    const memory = present?.follows(tokens) === true ? present : this.#create()
    this.#memories.delete(key)
    this.#memories.set(key, memory)
    if (this.#memories.size > this.#sequencesMax) this.#forgetOldest()
    return memory
  }

  forget(key: number): void {
    this.#memories.delete(key)
  }

  get size(): number {
    return this.#memories.size
  }

  #forgetOldest(): void {
    for (const key of this.#memories.keys()) {
      this.#memories.delete(key)
      return
    }
  }
}
