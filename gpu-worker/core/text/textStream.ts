/**
 * From the bytes of tokens to the text a client may see: whole characters only, nothing that may still become a stop string,
 * and never the stop string itself. One per sequence.
 */
export interface TextStream {
  /** The bytes of one accepted token. `stopped` is true once, when a stop string is complete; then nothing more may be pushed. */
  push(bytes: Uint8Array): { readonly text: string; readonly stopped: boolean }
  /** No more bytes will come: what was held back. Empty after a stop. */
  finish(): string
}

export function createTextStream(_options: { readonly stop: readonly string[] }): TextStream {
  const decoder = new TextDecoder('utf-8')
  return {
    push: (bytes) => ({ text: decoder.decode(bytes, { stream: true }), stopped: false }),
    finish: () => decoder.decode(),
  }
}
