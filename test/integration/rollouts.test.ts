/** Rollouts and rollbacks of a pair while it is used: the whole local system, with the simulated engine. No request may notice. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { OperatorStatus } from '#contracts/operatorStatus.ts'
import { whyNoProcesses } from './support/needs.ts'
import { freePort, Place } from './support/started.ts'

const reason = whyNoProcesses()
if (reason !== null) console.warn(`skipped rollouts: ${reason}`)

const head = `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: pair }
spec:
  replicas: 2
  rollout: { guard: { observeSeconds: 0 } }
`
const pair = (contextTokensMax: number) =>
  `${head}  engine: { kind: simulated, slots: 16, contextTokensMax: ${contextTokensMax}, simulated: { stepMs: 20, promptTokensPerSecond: 100000 } }`
/** Its worker cannot load this. */
const unusable = (path: string) =>
  `${head}  target: { source: "file://${path}", sha256: ${createHash('sha256').update(readFileSync(path)).digest('hex')} }`
const Described = z.object({ operator: OperatorStatus.nullable() })
const perSecond = 20
const streams = 10
const rollouts = 2

describe.skipIf(reason !== null)('a pair in use', () => {
  let place: Place
  let port: string
  const wrong: string[] = []
  const counts = { short: 0, streams: 0 }
  let isOver = false

  beforeEach(async () => {
    place = new Place()
    port = String(await freePort())
  })
  afterEach(() => place.dispose())

  const post = (body: object) =>
    fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'pair',
        messages: [{ role: 'user', content: 'hello' }],
        ignore_eos: true,
        ...body,
      }),
    })

  const short = async () => {
    const response = await post({ max_tokens: 5 })
    const text = await response.text()
    counts.short += 1
    if (response.status !== 200) wrong.push(`${response.status} ${text}`)
  }
  const stream = async () => {
    while (!isOver) {
      const text = await (await post({ max_tokens: 100, stream: true })).text()
      counts.streams += 1
      if (!text.trimEnd().endsWith('data: [DONE]') || text.includes('"error"'))
        wrong.push(`stream: ${text.slice(-300)}`)
    }
  }

  /** What `paceline status` says of the pair. */
  const status = async () => {
    const run = place.run('status', '--port', port, '--json')
    await run.ended()
    const found = Described.parse(JSON.parse(run.output)).operator?.deployments[0]?.status
    if (found === undefined) throw new Error(`no pair in ${run.output}`)
    return found
  }
  const until = async (what: string, holds: (found: Awaited<ReturnType<typeof status>>) => boolean) => {
    for (let i = 0; i < 120; i++) {
      if (holds(await status())) return
      await sleep(200)
    }
    throw new Error(`${what} did not come`)
  }

  test(`${rollouts} rollouts and a rollback: no request fails, no stream is cut`, async () => {
    const file = place.write('pair.yaml', pair(1_000))
    const run = place.run('up', '--port', port, '--file', file)
    await run.says('Try it:')
    const requests: Promise<void>[] = []
    const timer = setInterval(() => requests.push(short()), 1_000 / perSecond)
    const running = Array.from({ length: streams }, () => stream())
    for (let i = 1; i <= rollouts; i++) {
      const before = (await status()).currentRevision
      writeFileSync(file, pair(1_000 + i))
      await until(`rollout ${i}`, (is) => is.currentRevision === is.desiredRevision && is.currentRevision !== before)
    }
    writeFileSync(file, unusable(place.write('no.gguf', 'this is no model')))
    await until('the rollback', ({ revisions }) => revisions?.[0]?.state === 'failed')
    clearInterval(timer)
    isOver = true
    await Promise.all([...requests, ...running])
    expect(wrong).toEqual([])
    console.info(`${counts.short} requests, ${counts.streams} streams, ${rollouts} rollouts`)
    run.child.kill('SIGINT')
    expect(await run.ended()).toBe(0)
  })
})
