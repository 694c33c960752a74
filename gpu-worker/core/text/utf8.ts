/**
 * Bytes of tokens in, whole characters out. A token may end in the middle of a character; its first bytes wait for the rest.
 *
 * Bytes that cannot become a character come out as U+FFFD as soon as that is certain, an unfinished character as one at the end.
 */
export interface Utf8Assembler {
  push(bytes: Uint8Array): string
  /** No more bytes will come. The assembler may be used again afterwards, from an empty state. */
  finish(): string
}

export function createUtf8Assembler(): Utf8Assembler {
  // A byte order mark is what the model wrote, so it is kept.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    push: (bytes) => (bytes.length === 0 ? '' : decoder.decode(bytes, { stream: true })),
    finish: () => decoder.decode(),
  }
}
