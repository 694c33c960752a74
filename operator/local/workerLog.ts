/**
 * What workers print: every line goes to one file, each with its worker's name before it, and the last ones are kept for the
 * message of a `Degraded` condition.
 *
 * Bounded: the file is renamed to `.1` at `workerLogBytesMax`, lines are cut, the memory is a ring. Written synchronously, so
 * that the last words of a worker are there when its end is noticed. A full disk costs the lines, never the operator.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import type { WorkerId } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Log } from '#runtime/log.ts'

export class WorkerLog {
  readonly #path: string
  readonly #log: Log
  #file: number
  #bytes: number
  #failed = false

  constructor(path: string, log: Log) {
    mkdirSync(dirname(path), { recursive: true })
    this.#path = path
    this.#log = log
    this.#file = openSync(path, 'a')
    this.#bytes = fstatSync(this.#file).size
  }

  /** Follows one worker's output streams until they end. The ring is the caller's to read. */
  follow(worker: WorkerId, streams: readonly Readable[]): LastLines {
    const ring = new LastLines()
    for (const stream of streams) {
      eachLine(stream, (line) => {
        ring.add(line)
        this.#write(`[${worker}] ${line}\n`)
      })
    }
    return ring
  }

  close(): void {
    closeSync(this.#file)
  }

  #write(line: string): void {
    try {
      if (this.#bytes >= limits.operator.workerLogBytesMax) this.#rotate()
      this.#bytes += writeSync(this.#file, line)
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#log.warn({ error, path: this.#path }, 'output of workers cannot be written and is lost')
      this.#failed = true
    }
  }

  #rotate(): void {
    closeSync(this.#file)
    renameSync(this.#path, `${this.#path}.1`)
    this.#file = openSync(this.#path, 'a')
    this.#bytes = 0
  }
}

export class LastLines {
  #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > limits.operator.workerLinesMax) this.#lines.shift()
  }

  get lines(): readonly string[] {
    return this.#lines
  }
}

/** Whole lines of a stream; one that never ends is cut, not gathered. */
function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let open = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const pieces = (open + chunk).split('\n')
    open = (pieces.pop() ?? '').slice(0, limits.operator.workerLineCharactersMax)
    for (const piece of pieces) onLine(piece.slice(0, limits.operator.workerLineCharactersMax))
  })
  stream.on('end', () => (open === '' ? undefined : onLine(open)))
  // A broken pipe of a killed worker; its end is reported by the process itself.
  stream.on('error', () => undefined)
}
