/**
 * The lines of a watch from the pieces that arrive: a piece may end anywhere, in the middle of a character too. Bounded. Pure but
 * for its memory.
 */
export type Lines =
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  /** One line is longer than the bound: nobody can say what it would have told. */
  | { readonly kind: 'too-long' }

export class WatchLines {
  readonly #bytesMax: number
  readonly #decoder = new TextDecoder()
  #rest: string[] = []
  #restLength = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  take(chunk: Buffer): Lines {
    const parts = this.#decoder.decode(chunk, { stream: true }).split('\n')
    const last = parts.pop() ?? ''
    const lines = parts.map((part, index) => (index === 0 ? [...this.#rest, part].join('') : part))
    if (lines.length > 0) this.#clear()
    this.#rest.push(last)
    this.#restLength += last.length
    if (this.#restLength > this.#bytesMax || lines.some((line) => line.length > this.#bytesMax))
      return { kind: 'too-long' }
    return { kind: 'lines', lines: lines.filter((line) => line.trim() !== '') }
  }

  #clear(): void {
    this.#rest = []
    this.#restLength = 0
  }
}
