/**
 * From the bytes of tokens to the text a client may see: whole characters only, nothing that may still become a stop string,
 * and never the stop string itself. One per sequence.
 */
import { createStopStrings } from './stopStrings.ts'
import { createUtf8Assembler } from './utf8.ts'

export interface TextStream {
  /** The bytes of one accepted token. `stopped` is true once, when a stop string is complete; bytes after that are ignored. */
  push(bytes: Uint8Array): { readonly text: string; readonly stopped: boolean }
  /** No more bytes will come: what was held back. Empty after a stop. */
  finish(): string
}

export function createTextStream(options: { readonly stop: readonly string[] }): TextStream {
  const characters = createUtf8Assembler()
  const stops = createStopStrings(options.stop)
  let ended = false
  return {
    push(bytes) {
      if (ended) return { text: '', stopped: false }
      const found = stops.push(characters.push(bytes))
      ended = found.stopped
      return found
    },
    finish() {
      if (ended) return ''
      ended = true
      // The unfinished character may complete a stop string, if only one that ends in U+FFFD.
      const last = stops.push(characters.finish())
      return last.stopped ? last.text : last.text + stops.finish()
    },
  }
}
