import { describe, expect, test } from 'vitest'
import { rawExchange, serveStage } from './testing/server.ts'

describe('a router that leaves', () => {
  test('while it still accepts, every answer closes its connection', async () => {
    const own = await serveStage({ worker: { stepMs: 5 } })
    own.router.drain(60_000)
    const answers = [await own.chat({ max_tokens: 2 }), await own.chat({ max_tokens: 2, stream: true })]
    expect(answers.map(({ status, headers }) => [status, headers.get('connection')])).toEqual([
      [200, 'close'],
      [200, 'close'],
    ])
    expect((await answers[1]?.text())?.trimEnd()).toMatch(/\[DONE\]$/)
    await own.close()
  })

  test('the end of a stream from before the drain is the end of its connection', async () => {
    const own = await serveStage({ worker: { stepMs: 5 } })
    const body = JSON.stringify({
      model: 'smol',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 40,
      stream: true,
    })
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`
    const { answer, whole } = await rawExchange(own.http.port, `${head}\r\n\r\n${body}`)
    own.router.drain(60_000)
    expect(answer).not.toContain('connection: close')
    expect(await whole).toMatch(/\[DONE\]\s+0\s+$/)
    await own.close()
  })
})
