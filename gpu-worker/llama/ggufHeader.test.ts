import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { ggufBytes } from './loraFile.fixture.ts'
import { ggufType, readGgufHeader } from './ggufHeader.ts'

let path = ''
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'gguf-')), 'file.gguf')
})

test('settings and shapes are read as they were written', async () => {
  const tensors = [
    { name: 'a', shape: [3, 2], values: new Float32Array(6) },
    { name: 'b', shape: [5], values: new Float32Array(5) },
  ]
  const bytes = ggufBytes({ 'general.type': 'adapter', 'adapter.lora.alpha': 16 }, tensors)
  await writeFile(path, bytes)
  const { settings, tensors: read, fileBytes } = await readGgufHeader(path)
  expect(Object.fromEntries(settings)).toEqual({
    'general.type': { type: ggufType.text, value: 'adapter' },
    'adapter.lora.alpha': { type: ggufType.float32, value: 16 },
  })
  expect(Object.fromEntries(read)).toEqual({ a: [3, 2], b: [5] })
  expect(fileBytes).toBe(bytes.length)
})

test('values of every type are read, lists passed over, also where they hold lists and texts', async () => {
  const long = (value: number) => [value, 0, 0, 0, 0, 0, 0, 0]
  const word = (value: number) => [value, 0, 0, 0]
  const text = (value: string) => [...long(value.length), ...Buffer.from(value)]
  const settings = [
    [...text('u8'), ...word(0), 200],
    [...text('i16'), ...word(3), 0xfe, 0xff],
    [...text('yes'), ...word(7), 1],
    [...text('f64'), ...word(12), 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
    [...text('i64'), ...word(11), ...Array<number>(8).fill(0xff)],
    [...text('texts'), ...word(9), ...word(8), ...long(2), ...text('x'), ...text('yz')],
    [...text('lists'), ...word(9), ...word(9), ...long(1), ...word(4), ...long(2), ...word(1), ...word(2)],
    [...text('last'), ...word(8), ...text('here')],
  ]
  await writeFile(path, Buffer.from([...Buffer.from('GGUF'), ...word(3), ...long(0), ...long(8), ...settings.flat()]))
  const { settings: read } = await readGgufHeader(path)
  const values = Object.fromEntries([...read].map(([key, { value }]) => [key, value]))
  expect(values).toEqual({ u8: 200, i16: -2, yes: true, f64: 1, i64: -1, last: 'here' })
})

test('a header longer than the first look is read to its end', async () => {
  await writeFile(path, ggufBytes({ long: 'x'.repeat(400_000), last: 'here' }, []))
  expect((await readGgufHeader(path)).settings.get('last')?.value).toBe('here')
})

test.each([
  ['nothing', new Uint8Array(0), 'it ends within its header'],
  ['another file', Buffer.from('not one of ours'), 'it does not start with GGUF'],
  ['a later version', Buffer.from('GGUF\u0009\u0000\u0000\u0000'), 'version 9 is not known'],
  ['a cut one', ggufBytes({ key: 'value' }, []).subarray(0, 40), 'it ends within its header'],
  ['a count that is none', Buffer.concat([ggufBytes({}, []).subarray(0, 8), Buffer.alloc(16, 0xff)]), 'is none'],
])('%s is refused by its name', async (_, bytes, reason) => {
  await writeFile(path, bytes)
  await expect(readGgufHeader(path)).rejects.toThrow(reason)
  await expect(readGgufHeader(path)).rejects.toThrow('file.gguf')
})
