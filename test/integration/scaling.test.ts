/** The whole local system at zero: `npm start` with a pair that sleeps, requests that wake it, and sleep again. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { whyNoProcesses } from './support/needs.ts'
import { freePort, Place, simulated } from './support/started.ts'

const reason = whyNoProcesses()
if (reason !== null) console.warn(`skipped scaling from zero: ${reason}`)

const pair = simulated('pair', 'scaling: { minReplicas: 0, maxReplicas: 2, idleSeconds: 2 }')

describe.skipIf(reason !== null)('a pair that scales from zero', () => {
  let place: Place
  let port: string
  beforeEach(async () => {
    place = new Place()
    port = String(await freePort())
  })
  afterEach(() => place.dispose())

  const ask = async (content: string, stream = false) => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'pair', stream, max_tokens: 4, messages: [{ role: 'user', content }] }),
    })
    return { status: response.status, body: await response.text() }
  }

  /** What `paceline status` says of the pair. */
  const workersNow = async (): Promise<number> => {
    const status = place.run('status', '--port', port, '--json')
    await status.ended()
    return (JSON.parse(status.output) as { processes: { part: string }[] }).processes.filter(
      ({ part }) => part === 'worker',
    ).length
  }
  const untilWorkers = async (wanted: number) => {
    for (let i = 0; i < 90 && (await workersNow()) !== wanted; i++) await sleep(100)
    expect(await workersNow()).toBe(wanted)
  }

  test('answers requests that were sent at zero, sleeps again, and wakes again', async () => {
    const run = place.run('up', '--port', port, '--file', place.write('pair.yaml', pair))
    await run.says('Try it:')
    for (let round = 0; round < 2; round++) {
      await untilWorkers(0)
      const answers = await Promise.all([ask('one'), ask('two', true), ask('three')])
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
      expect(answers[1]?.body).toContain('data: [DONE]')
      expect(await workersNow()).toBeGreaterThanOrEqual(1)
    }
    run.child.kill('SIGINT')
    expect(await run.ended()).toBe(0)
    expect(await place.leftovers()).toEqual([])
  })
})
