import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { readTraffic } from './traffic.ts'

let path = ''

beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'traffic-')), 'requests.jsonl')
})

const lines = (...all: readonly unknown[]) => writeFile(path, all.map((line) => `${JSON.stringify(line)}\n`).join(''))
const hello = { role: 'user', content: 'Hello' }

test('requests are read as clients send them, with their own sampling, and what else a line holds is passed over', async () => {
  await lines(
    { model: 'm', messages: [hello], temperature: 0, top_p: 0.9, max_tokens: 7, stream: true, logged_at: 'then' },
    {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { ...hello, content: [{ type: 'text', text: 'Hi' }] },
      ],
      temperature: null,
    },
  )
  expect(await readTraffic(path, 10)).toEqual([
    { messages: [hello], sampling: { temperature: 0, topP: 0.9 }, tokensMax: 7 },
    {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
      sampling: {},
    },
  ])
})

test('no more are read than asked for, and empty lines are none', async () => {
  await writeFile(
    path,
    `\n${JSON.stringify({ messages: [hello] })}\n\n${JSON.stringify({ messages: [hello] })}\nbroken`,
  )
  expect(await readTraffic(path, 2)).toHaveLength(2)
  await expect(readTraffic(path, 3)).rejects.toThrow(/requests\.jsonl:5 is not JSON/)
})

test('a line that is no chat request of text is named, and what it says is not told', async () => {
  await lines({ messages: [hello] }, { messages: [{ role: 'user', content: [{ type: 'image_url', secret: 'x' }] }] })
  await expect(readTraffic(path, 10)).rejects.toThrow(/requests\.jsonl:2 is no chat request of text \(messages/)
  await lines({ prompt: 'a completion' })
  await expect(readTraffic(path, 10)).rejects.toThrow(/:1 is no chat request/)
  await expect(readTraffic(`${path}.missing`, 1)).rejects.toThrow(/cannot be read/)
})
