import { describe, expect, test } from 'vitest'
import { RouteName } from '#contracts/ids.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import type { RouteRecord } from '#contracts/records.ts'
import { RiskSource } from '#contracts/resources/riskRoute.ts'
import { RiskPolicy } from '#contracts/riskPolicy.ts'
import { encode } from '#runtime/messages.ts'
import type { CheckResult } from './riskChecker.ts'
import { modelRecord } from './testing/fakeWorker.ts'
import { rawExchange, serveStage, until } from './testing/server.ts'

const source = { name: 'short', expression: { pattern: '^.$', of: 'answer' } }
const record: RouteRecord = {
  route: RouteName.parse('judged'),
  name: 'judged',
  created: 1,
  policy: RiskPolicy.parse({
    kind: 'risk',
    deployment: 'smol',
    escalateTo: 'smol',
    embedding: 'smol',
    answerBelow: 0.9,
    escalateFrom: 0.95,
    reprompt: 'selfExamination',
    labels: [],
    sources: [RiskSource.parse(source)],
    references: [],
    calibration: {
      kind: 'made',
      document: {
        kind: 'RiskCalibration',
        version: 1,
        model: 'simulated',
        embedding: { model: 'simulated', width: 2 },
        signals: [],
        labels: ['right', 'wrong'],
        sources: ['short'],
        hidden: 0,
        parameters: packedNumbers(new Float64Array(6)),
        scalariser: 'quadratic',
        trained: { examples: 1, epochs: 1 },
        measured: null,
      },
    },
    trafficLog: null,
    shadow: false,
  }),
}

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

  test('waits for an answer that is being checked, though nobody is asked anything meanwhile', async () => {
    const checked = Promise.withResolvers<CheckResult>()
    let isChecking = false
    const checker = {
      check: () => {
        isChecking = true
        return checked.promise
      },
      close: () => undefined,
    }
    const own = await serveStage({ record: modelRecord({ model: 'simulated' }), checker })
    await own.operator.put('routes', 'judged', encode(record))
    await until(() => own.router.route('judged') !== undefined)
    const answer = own.chat({ model: 'judged', max_tokens: 1 })
    await until(() => isChecking && own.firstWorker.busy === 0 && own.router.attempts === 0)
    await until(() => own.router.active === 1)
    checked.resolve({ checked: [0], texts: null })
    expect((await answer).status).toBe(200)
    expect(own.router.active).toBe(0)
    await own.close()
  })
})
