/**
 * What a person sees: lines that stay, and one line of progress that is replaced.
 *
 * Where output is not a terminal (a log, a pipe) progress becomes a line every few seconds, so that a log shows movement
 * without holding thousands of lines.
 */
import type { Clock } from '#runtime/clock.ts'

export interface Terminal {
  line(text: string): void
  progress(text: string): void
  /** To standard error. */
  error(text: string): void
}

export interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const plainProgressIntervalMs = 5_000
const clearLine = '\r\u001b[K'

export function createTerminal(output: Stream, errors: Stream, clock: Clock): Terminal {
  const live = output.isTTY === true
  /** The progress on the screen now; empty where there is none. */
  let shown = ''
  let lastPlainAt = Number.NEGATIVE_INFINITY
  const clear = () => {
    if (shown !== '') output.write(clearLine)
    shown = ''
  }
  return {
    line(text) {
      clear()
      output.write(`${text}\n`)
    },
    progress(text) {
      if (live) {
        if (text !== shown) output.write(`${clearLine}${text.slice(0, widthOf(output) - 1)}`)
        shown = text
        return
      }
      if (clock.now() - lastPlainAt < plainProgressIntervalMs) return
      lastPlainAt = clock.now()
      output.write(`${text}\n`)
    },
    error(text) {
      clear()
      errors.write(`${text}\n`)
    },
  }
}

/** A terminal that does not know its width says 0. */
const widthOf = ({ columns = 0 }: Stream) => (columns > 0 ? columns : 80)

/** Columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
