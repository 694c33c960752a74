/**
 * How a pair speculates, from the resource file to the worker and back: what is in use is shown, and a change of it reaches the running
 * worker over NATS without a restart.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { OperatorStatus } from '#contracts/operatorStatus.ts'
import { whyNoNats } from './support/needs.ts'
import { freePort, Place, type Run, simulated } from './support/started.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`changes of speculation are not tested: ${reason}`)

const pair = (speculation: string) =>
  simulated('pair', `speculation: ${speculation}`).replace('stepMs: 5', 'draftTokens: 4, acceptance: 1, stepMs: 5')
const Described = z.object({ operator: OperatorStatus })
const Models = z.object({ data: z.array(z.object({ paceline: z.object({ speculation: z.unknown() }) })) })
const Answer = z.object({
  usage: z.object({
    completion_tokens_details: z.object({
      accepted_prediction_tokens: z.number(),
      rejected_prediction_tokens: z.number(),
    }),
  }),
})

describe.skipIf(reason !== null)('speculation of a running pair', () => {
  let place: Place
  let run: Run
  let port: string
  beforeAll(async () => {
    place = new Place()
    port = String(await freePort())
    run = place.run('up', '--port', port, '--file', place.write('pair.yaml', pair('{ controller: fixed }')))
    await run.says('Try it:')
  })
  afterAll(async () => {
    run.child.kill('SIGTERM')
    await run.ended()
    await place.dispose()
  })

  async function worker() {
    const status = place.run('status', '--port', port, '--json')
    await status.ended()
    const [deployment] = Described.parse(JSON.parse(status.output)).operator.deployments
    return { workers: deployment?.workers ?? [], conditions: deployment?.status.conditions ?? [] }
  }

  async function ask(): Promise<z.infer<typeof Answer>['usage']['completion_tokens_details']> {
    const body = { model: 'pair', prompt: 'the quick brown fox', max_tokens: 32, temperature: 0, ignore_eos: true }
    const response = await fetch(`http://127.0.0.1:${port}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return Answer.parse(await response.json()).usage.completion_tokens_details
  }

  /** The worker's own word for how it drafts, once it is `wanted`. */
  async function until(wanted: string): Promise<void> {
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 250) {
      const { workers } = await worker()
      if (workers[0]?.speculation === wanted) return
      await sleep(250)
    }
    expect((await worker()).workers[0]?.speculation).toBe(wanted)
  }

  test('is what the resource says, and shows in the usage of a request', async () => {
    await until('simulated up to 8 (fixed)')
    expect((await ask()).accepted_prediction_tokens).toBeGreaterThan(10)
    const response = await fetch(`http://127.0.0.1:${port}/v1/models`)
    const [model] = Models.parse(await response.json()).data
    expect(model?.paceline.speculation).toEqual({ method: 'auto', draft_tokens_max: 8, controller: 'fixed' })
    expect((await worker()).conditions.find(({ type }) => type === 'DraftReady')?.status).toBe('True')
  })

  test('changes in the worker that runs: length, controller, off, and an SLO beside it', async () => {
    const [before] = (await worker()).workers
    place.write('pair.yaml', pair('{ controller: goodput, draftTokensMax: 2 }'))
    await until('simulated up to 2 (goodput)')
    place.write('pair.yaml', `${pair('{ method: "off" }')}  slo: { ttftMs: 500, tpotMs: 50 }\n`)
    await until('off')
    expect(await ask()).toEqual({ accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 })
    const { workers } = await worker()
    expect(workers.map(({ worker: id, revision }) => [id, revision])).toEqual([[before?.worker, before?.revision]])
  })
})
