/**
 * Hostile input, short form of `test/soak/hostile.ts`: every raw request once, a few hundred fuzzed bodies through both engines.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testModel } from '../bench/harness/model.ts'
import { type Deployment, type Platform, startPlatform } from '../bench/harness/platform.ts'
import { fuzzBodies, isOpenAiError, rawCampaign } from '../soak/scenarios/hostile.ts'
import { halfOpen } from '../soak/scenarios/rawRequests.ts'
import { whyNoNats } from './support/needs.ts'

const reason = whyNoNats()
if (reason !== null) console.warn(`hostile input is not tested: ${reason}`)
const model = testModel()
if (model === null) console.warn('hostile input to the real engine is not tested: PACELINE_TEST_MODEL names no file')
const seed = Number(process.env['PACELINE_TEST_SEED'] ?? 20_261)

describe.skipIf(reason !== null)('hostile requests', () => {
  let platform: Platform
  beforeAll(async () => {
    const simulated = { stepMs: 0, rowMs: 0 }
    const engine = { kind: 'simulated', slots: 16, contextTokensMax: 512, embeddings: true, simulated }
    const deployments: Deployment[] = [{ name: 'simulated', spec: { engine } }]
    if (model !== null)
      deployments.push({
        name: 'real',
        modelPath: model,
        spec: { engine: { slots: 4, contextTokensMax: 512, threads: 1 } },
      })
    platform = await startPlatform({ name: 'hostile', deployments })
  })
  afterAll(() => platform.stop())
  const target = (name: string) => ({ name, url: platform.url, model: name })

  // Time limits are the soak's business: this runs beside other tests.
  test('raw bytes of every kind get the answer they deserve, beside connections that never finish theirs', async () => {
    const { findings, sent } = await rawCampaign(target('simulated'), {
      times: 1,
      concurrency: 4,
      open: 40,
      hangMs: 5_000,
    })
    expect(findings).toEqual([])
    expect(sent).toBeGreaterThan(30)
  })

  test(`fuzzed bodies get 2xx, or 4xx with OpenAI's error (seed ${seed})`, async () => {
    const { findings, statuses } = await fuzzBodies(target('simulated'), {
      count: 1_500,
      seed,
      concurrency: 8,
      hangMs: 10_000,
    })
    expect(findings).toEqual([])
    expect(statuses['200']).toBeGreaterThan(50)
    expect(statuses['400']).toBeGreaterThan(50)
  })

  test.skipIf(model === null)(`the real engine survives the same (seed ${seed})`, async () => {
    const { findings, statuses } = await fuzzBodies(target('real'), {
      count: 300,
      seed: seed + 1,
      concurrency: 4,
      hangMs: 60_000,
    })
    expect(findings).toEqual([])
    expect(statuses['200']).toBeGreaterThan(5)
  })

  test('a path that does not exist, a wrong method and a wrong type are told in the same shape', async () => {
    const asked = [
      await fetch(`${platform.url}/v1/nothing`),
      await fetch(`${platform.url}/v1/chat/completions`),
      await fetch(`${platform.url}/v1/chat/completions`, {
        method: 'POST',
        body: 'a=b',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }),
    ]
    for (const response of asked) {
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.status).toBeLessThan(500)
      expect(isOpenAiError(await response.text())).toBe(true)
    }
  })

  test('the process still serves while hundreds of half-open connections hang on it', async () => {
    const { hostname, port } = new URL(platform.url)
    const close = await halfOpen({ host: hostname, port: Number(port) }, 300)
    const response = await fetch(`${platform.url}/v1/models`)
    expect(response.status).toBe(200)
    close()
  })
})
