/**
 * llama.cpp's log lines on their way to ours. The C callback only appends: it may come from any native thread, and whatever ran
 * in it would run inside a native call.
 *
 * Lines come in pieces and end with a newline. The newest errors are kept, because llama.cpp says why a file cannot be loaded
 * here and nowhere else.
 */
import type { Log } from '#runtime/log.ts'

export interface NativeLog {
  /** The C callback: `(level, text)`. */
  readonly receive: (level: number, text: string) => void
  /** Errors since the last call, oldest first. */
  takeErrors(): string[]
}

type Level = 'debug' | 'warn'
const nativeLevel = { warn: 3, error: 4, continued: 5 } as const
const linesWaitingMax = 1_000
const errorsKept = 8

export function createNativeLog(log: Log, schedule: (action: () => void) => void = setImmediate): NativeLog {
  let open: { level: Level; isError: boolean; text: string } = { level: 'debug', isError: false, text: '' }
  let waiting: { level: Level; text: string }[] = []
  let lost = 0
  let errors: string[] = []

  const flush = () => {
    const lines = waiting
    waiting = []
    for (const line of lines) log[line.level]({ line: line.text }, 'llama.cpp')
    if (lost > 0) log.warn({ lines: lost }, 'llama.cpp wrote more lines than were taken')
    lost = 0
  }
  const endLine = () => {
    const text = open.text.trim()
    if (text === '') return
    if (open.isError) errors = [...errors, text].slice(-errorsKept)
    if (waiting.length >= linesWaitingMax) lost += 1
    else if (waiting.push({ level: open.level, text }) === 1) schedule(flush)
  }
  return {
    receive(level, text) {
      const isContinued = level === nativeLevel.continued
      if (!isContinued)
        open = { level: level >= nativeLevel.warn ? 'warn' : 'debug', isError: level === nativeLevel.error, text: '' }
      const parts = text.split('\n')
      parts.forEach((part, i) => {
        open.text += part
        if (i === parts.length - 1) return
        endLine()
        open.text = ''
      })
    },
    takeErrors() {
      const taken = errors
      errors = []
      return taken
    },
  }
}
