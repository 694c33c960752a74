import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { identify } from './identity.ts'
import { type PartEvent, Supervised } from './supervised.ts'

/** A part that is a shell script, watched over on a fake clock. */
function supervise(script: string) {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-supervised-'))
  const clock = createFakeClock()
  const events: PartEvent[] = []
  const logPath = join(folder, 'part.log')
  const part = {
    title: 'part',
    command: '/bin/sh',
    args: ['-c', script],
    environment: { PATH: '/usr/bin:/bin', FOLDER: folder },
    logPath,
  }
  const supervised = new Supervised(part, clock, (event) => events.push(event))
  onTestFinished(async () => {
    supervised.kill()
    await supervised.stop(0)
    rmSync(folder, { recursive: true })
  })
  const saw = (kind: PartEvent['kind'], times = 1) =>
    vi.waitUntil(() => events.filter((event) => event.kind === kind).length >= times, { timeout: 5_000, interval: 5 })
  return { supervised, events, saw, clock, folder, logPath }
}

test('a part that ends by itself is started again, later each time, and given up in the end', async () => {
  const { supervised, events, saw, clock } = supervise('echo "nats-server: no luck"; exit 3')
  supervised.start()
  for (let restart = 1; restart <= limits.local.restartsMax; restart += 1) {
    await saw('ended', restart)
    await clock.advance(limits.local.restartWaitMsMax)
  }
  await saw('given-up')
  const waits = events.flatMap((event) => (event.kind === 'ended' ? [event.waitMs] : []))
  expect(waits.slice(0, 3)).toEqual([250, 500, 1_000])
  expect(Math.max(...waits)).toBe(limits.local.restartWaitMsMax)
  expect(events.at(-1)).toEqual({ kind: 'given-up', how: 'ended (exit code 3): nats-server: no luck' })
})

test('a part that is asked to end may take its grace, and is not started again', async () => {
  const { supervised, events, folder, clock } = supervise(
    'trap "touch $FOLDER/drained; exit 0" TERM; touch $FOLDER/up; while :; do sleep 0.01; done',
  )
  supervised.start()
  await vi.waitUntil(() => existsSync(join(folder, 'up')))
  expect(await supervised.stop(10_000)).toBe('drained')
  expect(existsSync(join(folder, 'drained'))).toBe(true)
  await clock.advance(60_000)
  expect(events.map((event) => event.kind)).toEqual(['started'])
})

test('a part that does not end within its grace is killed with everything it started', async () => {
  const { supervised, folder, clock } = supervise(
    'trap "" TERM; sleep 60 & echo $! > $FOLDER/child; touch $FOLDER/up; wait; wait',
  )
  supervised.start()
  await vi.waitUntil(() => existsSync(join(folder, 'up')))
  const stopping = supervised.stop(1_000)
  await clock.advance(1_000)
  expect(await stopping).toBe('killed')
  const child = Number(readFileSync(join(folder, 'child'), 'utf8'))
  await vi.waitUntil(() => identify(child) === null)
})

test('what cannot be started at all is said, not thrown', async () => {
  const { events, clock, folder } = supervise('true')
  const part = { title: 'x', command: join(folder, 'none'), args: [], environment: {}, logPath: join(folder, 'x.log') }
  const broken = new Supervised(part, clock, (event) => events.push(event))
  broken.start()
  await vi.waitUntil(() => events.some((event) => event.kind === 'ended'))
  expect(events.at(-1)).toMatchObject({
    kind: 'ended',
    how: expect.stringMatching(/could not be started: .*ENOENT/) as string,
  })
  broken.kill()
})
