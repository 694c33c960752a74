/** A tar archive with nothing of this machine in it: no times, no owners, sorted by the caller. Same input, same bytes. */
import { closeSync, openSync, readSync, statSync } from 'node:fs'

export type Entry =
  | { readonly kind: 'folder'; readonly mode: number }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'text'; readonly text: string | Uint8Array; readonly mode: number }
  | { readonly kind: 'file'; readonly source: string; readonly mode: number }

const blockBytes = 512
const chunkBytes = 1 << 20

/** In pieces: a model file need not fit in memory. */
export function* tar(entries: Iterable<readonly [name: string, entry: Entry]>): Generator<Uint8Array> {
  for (const [name, entry] of entries) {
    if (Buffer.byteLength(name) > 100) yield* longName(name)
    switch (entry.kind) {
      case 'folder':
        yield header(`${name}/`, { mode: entry.mode, size: 0, type: '5' })
        break
      case 'link':
        yield header(name, { mode: 0o777, size: 0, type: '2', link: entry.to })
        break
      case 'text': {
        const bytes = Buffer.from(entry.text)
        yield header(name, { mode: entry.mode, size: bytes.length, type: '0' })
        yield bytes
        yield padding(bytes.length)
        break
      }
      case 'file': {
        const { size } = statSync(entry.source)
        yield header(name, { mode: entry.mode, size, type: '0' })
        yield* contentOf(entry.source)
        yield padding(size)
        break
      }
      default:
        return entry satisfies never
    }
  }
  yield Buffer.alloc(2 * blockBytes)
}

function* contentOf(path: string): Generator<Uint8Array> {
  const file = openSync(path, 'r')
  try {
    for (;;) {
      const chunk = Buffer.alloc(chunkBytes)
      const bytes = readSync(file, chunk, 0, chunkBytes, null)
      if (bytes === 0) return
      yield chunk.subarray(0, bytes)
    }
  } finally {
    closeSync(file)
  }
}

/** GNU's way of a name over 100 bytes: it is the content of an entry before. */
function* longName(name: string): Generator<Uint8Array> {
  const bytes = Buffer.from(`${name}\0`)
  yield header('././@LongLink', { mode: 0o644, size: bytes.length, type: 'L' })
  yield bytes
  yield padding(bytes.length)
}

function header(name: string, fields: { mode: number; size: number; type: string; link?: string }): Buffer {
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, length: number, at: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at)
  block.write(name.slice(0, 100), 0)
  octal(fields.mode, 8, 100)
  octal(0, 8, 108)
  octal(0, 8, 116)
  octal(fields.size, 12, 124)
  octal(0, 12, 136)
  block.write('        ', 148)
  block.write(fields.type, 156)
  block.write(fields.link ?? '', 157)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

const padding = (bytes: number): Buffer => Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes)
