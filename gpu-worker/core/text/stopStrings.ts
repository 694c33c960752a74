/**
 * Finds stop strings in text that arrives in pieces, wherever the pieces are cut.
 *
 * Text is released as soon as it cannot belong to a stop string any more: what is held is a proper beginning of one, so never
 * longer than the longest stop string less one character. The stop string that is complete first counts, and of those complete
 * at the same character the longest; so the released text does not depend on how the text was cut into tokens.
 */
export interface StopStrings {
  /** After `stopped` nothing more may be pushed; the stop string and what follows it are never released. */
  push(text: string): { readonly text: string; readonly stopped: boolean }
  /** No more text will come: what was held. */
  finish(): string
}

export function createStopStrings(stops: readonly string[]): StopStrings {
  // Generated text is well-formed, so a lone surrogate cannot occur in it; and it could make us cut a character in two.
  const possible = stops.filter((stop) => stop.length > 0 && stop.isWellFormed())
  const heldMax = Math.max(0, ...possible.map((stop) => stop.length - 1))
  let held = ''
  return {
    push(text) {
      if (possible.length === 0) return { text, stopped: false }
      const open = held + text
      const start = startOfFirst(open, possible)
      const cut = start ?? startOfBeginning(open, possible, heldMax)
      held = start === undefined ? open.slice(cut) : ''
      return { text: open.slice(0, cut), stopped: start !== undefined }
    },
    finish() {
      const rest = held
      held = ''
      return rest
    },
  }
}

/** Where the stop string starts that is complete first. */
function startOfFirst(text: string, stops: readonly string[]): number | undefined {
  let first: { start: number; end: number } | undefined
  for (const stop of stops) {
    const start = text.indexOf(stop)
    if (start < 0) continue
    const end = start + stop.length
    const isEarlier = first === undefined || end < first.end || (end === first.end && start < first.start)
    if (isEarlier) first = { start, end }
  }
  return first?.start
}

/** Where the longest end of `text` starts that is a beginning of a stop string; its length where there is none. */
function startOfBeginning(text: string, stops: readonly string[], heldMax: number): number {
  for (let start = Math.max(0, text.length - heldMax); start < text.length; start++) {
    const end = text.slice(start)
    if (stops.some((stop) => stop.startsWith(end))) return start
  }
  return text.length
}
