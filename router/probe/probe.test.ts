import { describe, expect, test } from 'vitest'
import { probe } from './probe.ts'

interface Reply {
  readonly status: number
  readonly body: string
}
const models: Reply = { status: 200, body: JSON.stringify({ object: 'list', data: [{ id: 'smol' }] }) }
const ready: Reply = { status: 200, body: 'ok' }
const unready: Reply = { status: 503, body: 'not ready' }

/** Answers in order per path, the last one for ever. */
function router(replies: Readonly<Record<string, readonly (Reply | 'silent')[]>>) {
  const asked: { path: string; key: string | undefined }[] = []
  let waitedMs = 0
  return {
    asked,
    waitedMs: () => waitedMs,
    options: {
      url: 'http://router:80',
      wait: (ms: number) => {
        waitedMs += ms
        return Promise.resolve()
      },
      fetch: (url: string, { headers }: { headers: Record<string, string> }) => {
        const path = new URL(url).pathname
        const seen = asked.filter((each) => each.path === path).length
        asked.push({ path, key: headers['authorization'] })
        const list = replies[path] ?? []
        const reply = list[Math.min(seen, list.length - 1)] ?? 'silent'
        return reply === 'silent'
          ? Promise.reject(new Error('connect refused'))
          : Promise.resolve(new Response(reply.body, { status: reply.status }))
      },
    },
  }
}

describe('the probe', () => {
  test('is content with a ready router that lists its models', async () => {
    const { options, asked } = router({ '/readyz': [ready], '/v1/models': [models] })
    expect(await probe({ ...options, apiKey: 'secret-key' })).toMatchObject({ good: true, reason: '' })
    expect(asked.map(({ key }) => key)).toEqual(['Bearer secret-key', 'Bearer secret-key'])
  })

  test('waits a while for a router that has just started', async () => {
    const { options, waitedMs } = router({ '/readyz': ['silent', unready, ready], '/v1/models': [models] })
    expect(await probe({ ...options, apiKey: null })).toMatchObject({ good: true })
    expect(waitedMs()).toBe(2_000)
  })

  test('gives up on one that is never ready, and says what it heard', async () => {
    const { options } = router({ '/readyz': [unready] })
    expect(await probe({ ...options, apiKey: null })).toMatchObject({ good: false, reason: '/readyz: 503 not ready' })
    const { options: silent } = router({})
    expect((await probe({ ...silent, apiKey: null })).reason).toBe('/readyz: connect refused')
  })

  test('takes being asked for a key as an answer only where it has none', async () => {
    const replies = { '/readyz': [ready], '/v1/models': [{ status: 401, body: 'no API key given' }] }
    expect((await probe({ ...router(replies).options, apiKey: null })).good).toBe(true)
    expect((await probe({ ...router(replies).options, apiKey: 'wrong' })).good).toBe(false)
  })

  test('is not content with something that is no list of models', async () => {
    const { options } = router({ '/readyz': [ready], '/v1/models': [{ status: 200, body: '<html>' }] })
    expect(await probe({ ...options, apiKey: null })).toMatchObject({ good: false })
  })
})
