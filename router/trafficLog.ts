/**
 * Examples kept for calibration, where a route asks for it: a file per route in one folder of this router's machine or pod, a line of JSON
 * each. Nobody else reads or writes there while the router runs but the commands that collect and purge.
 *
 * Why files and not a stream of NATS: examples hold what clients said, so they belong to one place that can be looked at, mounted and
 * deleted, and the NATS server of a local instance forgets everything when it ends. Bounds: of a route two files of half the bytes each,
 * no line older than the age (a file is put aside after half of it and deleted after the rest), all routes together a total, and a queue to
 * the disk that drops what it cannot take. Losing examples is allowed, holding a request up is not: nothing here ever throws or waits.
 */
import { appendFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { limits } from '#contracts/limits.ts'
import type { RiskExample } from '#contracts/riskExample.ts'
import type { Log } from '#runtime/log.ts'

export type Kept = 'kept' | 'without-texts' | 'dropped'

export interface TrafficLogOptions {
  readonly folder: string
  /** Since the epoch: files outlive their router, so their age is one of the wall clock. */
  readonly epochMs: () => number
  readonly log: Log
  readonly count: (route: string, kept: Kept) => void
  readonly bounds?: Partial<TrafficBounds>
}

export type TrafficBounds = Pick<typeof limits.traffic, 'bytesMax' | 'ageMsMax' | 'allBytesMax'>

/** `<route>.jsonl`, and `<route>.1.jsonl` for what was put aside. Routes are named like Kubernetes objects, so they are names of files. */
const currentName = (route: string) => `${route}.jsonl`
const asideName = (route: string) => `${route}.1.jsonl`
const fileName = /^([\w-]+)(\.1)?\.jsonl$/
/** Null: a name that the log gives to no file. */
export const routeOfFile = (name: string): string | null => fileName.exec(name)?.[1] ?? null
/** How every line begins. */
export const lineStart = '{"kind":"RiskExample",'

export class TrafficLog {
  readonly #options: TrafficLogOptions
  readonly #bounds: TrafficBounds
  readonly #waiting: { readonly route: string; readonly line: string }[] = []
  #writing: Promise<void> | null = null
  #hasFailed = false
  /** The last thing that touches the folder: one after the other, or the sum would not be right. */
  #turn: Promise<void> = Promise.resolve()
  /** In all files; null: to be looked up. Less may be there, since others may delete. */
  #bytes: number | null = null

  constructor(options: TrafficLogOptions) {
    this.#options = options
    this.#bounds = { ...limits.traffic, ...options.bounds }
  }

  keep(example: RiskExample): void {
    const { route } = example
    const line = lineOf(example)
    if (Buffer.byteLength(line) <= limits.traffic.exampleBytesMax) this.#enqueue(route, line, 'kept')
    else {
      const { question: _question, answer: _answer, ...bare } = example
      this.#enqueue(route, lineOf(bare), 'without-texts')
    }
  }

  /** Resolves when everything that was kept until now is on the disk. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  /** Old files go although nothing new comes; call now and then. */
  async sweep(): Promise<void> {
    await this.#guarded(async () => void (this.#bytes = await this.#dropOld(0)))
  }

  #enqueue(route: string, line: string, kept: Kept): void {
    const hasRoom =
      this.#waiting.length < limits.traffic.waitingMax && Buffer.byteLength(line) <= limits.traffic.exampleBytesMax
    this.#options.count(route, hasRoom ? kept : 'dropped')
    if (!hasRoom) return
    this.#waiting.push({ route, line })
    this.#writing ??= this.#drain()
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = Map.groupBy(this.#waiting.splice(0), ({ route }) => route)
        for (const [route, lines] of batch)
          await this.#guarded(() => this.#append(route, lines.map(({ line }) => line).join('')))
      }
    } finally {
      // With the last look at the line: what comes after it must find that nobody writes.
      this.#writing = null
    }
  }

  async #append(route: string, lines: string): Promise<void> {
    const { folder } = this.#options
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const current = join(folder, currentName(route))
    const bytesMore = Buffer.byteLength(lines)
    const isDone = await this.#isDone(current, bytesMore)
    if (isDone) await rename(current, join(folder, asideName(route)))
    if (isDone || this.#bytes === null || this.#bytes + bytesMore > this.#bounds.allBytesMax)
      this.#bytes = await this.#dropOld(bytesMore)
    await appendFile(current, lines, { mode: 0o600 })
    this.#bytes += bytesMore
  }

  async #isDone(path: string, bytesMore: number): Promise<boolean> {
    const found = await facts(path)
    if (found === null) return false
    const isFull = found.bytes + bytesMore > this.#bounds.bytesMax / 2
    return isFull || this.#options.epochMs() - found.bornAtMs > this.#bounds.ageMsMax / 2
  }

  /** Too old first; then, while all are too many together, whoever was quiet the longest. Resolves to the bytes that are left. */
  async #dropOld(bytesMore: number): Promise<number> {
    const { folder, epochMs } = this.#options
    const names = await readdir(folder).catch(() => [])
    const all = await Promise.all(
      names
        .filter((name) => routeOfFile(name) !== null)
        .map(async (name) => ({ name, ...(await facts(join(folder, name))) })),
    )
    const now = epochMs()
    const aged = all.flatMap(({ name, bytes, bornAtMs, changedAtMs }) =>
      bytes === undefined || bornAtMs === undefined || changedAtMs === undefined
        ? []
        : [{ name, bytes, bornAtMs, changedAtMs }],
    )
    let bytes = aged.reduce((sum, file) => sum + file.bytes, 0)
    for (const file of aged.toSorted((a, b) => a.changedAtMs - b.changedAtMs)) {
      if (now - file.bornAtMs <= this.#bounds.ageMsMax && bytes + bytesMore <= this.#bounds.allBytesMax) continue
      await rm(join(folder, file.name), { force: true })
      bytes -= file.bytes
    }
    return bytes
  }

  /** A full or missing disk is told once; serving goes on. */
  #guarded(write: () => Promise<unknown>): Promise<void> {
    this.#turn = this.#turn.then(() => this.#attempt(write))
    return this.#turn
  }

  async #attempt(write: () => Promise<unknown>): Promise<void> {
    try {
      await write()
      this.#hasFailed = false
    } catch (error) {
      // A part of it may be there.
      this.#bytes = null
      if (!this.#hasFailed)
        this.#options.log.warn({ error, folder: this.#options.folder }, 'examples for calibration cannot be kept')
      this.#hasFailed = true
    }
  }
}

const lineOf = ({ kind, ...example }: RiskExample) => `${JSON.stringify({ kind, ...example })}\n`

interface FileFacts {
  readonly bytes: number
  readonly bornAtMs: number
  readonly changedAtMs: number
}

async function facts(path: string): Promise<FileFacts | null> {
  try {
    const { size, birthtimeMs, mtimeMs } = await stat(path)
    // Some file systems do not know when a file was made.
    return { bytes: size, bornAtMs: birthtimeMs > 0 ? birthtimeMs : mtimeMs, changedAtMs: mtimeMs }
  } catch {
    return null
  }
}
