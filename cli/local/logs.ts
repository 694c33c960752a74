/** Log files of the parts of a local instance: kept bounded, and read for the last words of a part that died. */
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { limits } from '#contracts/limits.ts'

const tailBytesMax = 16 * 1024

/** The writer appends, so cutting the file under it is safe; what it held stays in `.1`. */
export function cutLog(path: string, bytesMax: number = limits.local.logBytesMax): void {
  if (!existsSync(path) || statSync(path).size <= bytesMax) return
  copyFileSync(path, `${path}.1`)
  truncateSync(path)
}

/** What the last lines say went wrong, in one line; null where they say nothing. */
export function lastWords(path: string): string | null {
  if (!existsSync(path)) return null
  const text = readFileSync(path).subarray(-tailBytesMax).toString('utf8')
  return summarise(text.split('\n'))
}

/** The last line that names an error, of our own JSON logs, of nats-server's, or of Node's for an uncaught exception. */
export function summarise(lines: readonly string[]): string | null {
  const words = lines.map((line) => wordsOf(line.trim())).filter((line) => line !== null)
  return words.at(-1) ?? null
}

function wordsOf(line: string): string | null {
  if (line.startsWith('{')) return wordsOfRecord(line)
  const server = /\[(?:FTL|ERR)\] (.+)$/.exec(line)
  if (server?.[1] !== undefined) return server[1]
  if (line.startsWith('nats-server: ')) return line
  return /^(?:Uncaught )?\w*(?:Error|Failure)\b.*: .+/.test(line) ? line : null
}

function wordsOfRecord(line: string): string | null {
  try {
    const record = JSON.parse(line) as { level?: unknown; msg?: unknown; error?: { message?: unknown } | string }
    if (record.level !== 'error' && record.level !== 'fatal') return null
    const cause = typeof record.error === 'object' ? record.error.message : record.error
    return [record.msg, cause].filter((part) => typeof part === 'string').join(': ')
  } catch {
    return null
  }
}
