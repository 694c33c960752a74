/** A person's first quarter of an hour: install, apply the example, ask, look, upgrade, roll back, uninstall. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeCluster } from './kit/shared.ts'
import { belongings, rolledOut, workersOf } from './pairs.ts'
import { example, install, type Paceline } from './paceline.ts'

describeCluster('a first pair', (cluster) => {
  let paceline: Paceline
  beforeAll(async () => {
    paceline = await install(cluster(), {
      namespace: 'serve',
      values: { operator: { replicas: 1 }, router: { replicas: 1 } },
    })
  })
  afterAll(() => paceline.remove())

  test('is served by a worker pod with the real model after one kubectl apply', async () => {
    await paceline.kubectl('apply', '-f', example('smol.yaml'))
    await paceline.until('smol', 'Ready')
    const workers = await workersOf(paceline, 'smol')
    expect(workers.map(({ status }) => status.phase)).toEqual(['Running'])
    const question = { role: 'user' as const, content: 'What is the capital of France? Answer in one sentence.' }
    const asked = { model: 'smol', messages: [question], temperature: 0, max_tokens: 32 }
    const answer = await paceline.client().chat.completions.create(asked)
    expect(answer.choices[0]?.message.content).toContain('Paris')
  })

  test('streams, and answers to its further name', async () => {
    const stream = await paceline.client().chat.completions.create({
      model: 'smollm2-135m-instruct',
      messages: [{ role: 'user', content: 'Say hello.' }],
      max_tokens: 16,
      stream: true,
    })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    expect(text.length).toBeGreaterThan(0)
  })

  test('passes helm test', async () => {
    expect(await cluster().helm('test', 'paceline', '--namespace', paceline.namespace, '--logs')).toContain('Succeeded')
  })

  test('reads well in kubectl get and describe', async () => {
    const columns = (await paceline.kubectl('get', 'pairs')).trim().split('\n')
    expect(columns[1]).toMatch(/^smol +True +\w+ +1 +1 +http\S+ +\d+\w+$/)
    const described = await paceline.kubectl('describe', 'pair', 'smol')
    for (const word of ['Model Cache Ready', 'Type:', 'WorkersReady', 'Events:']) expect.soft(described).toContain(word)
  })

  test('keeps its workers over an upgrade of the chart and over the way back', async () => {
    const before = await workersOf(paceline, 'smol')
    await paceline.upgrade({ operator: { logLevel: 'debug' } })
    await cluster().helm('rollback', 'paceline', '1', '--namespace', paceline.namespace, '--wait', '--timeout', '90s')
    await rolledOut(paceline, 'smol')
    const uids = (pods: typeof before) => pods.map(({ metadata }) => metadata.uid)
    expect(uids(await workersOf(paceline, 'smol'))).toEqual(uids(before))
  })

  test('leaves nothing when it is deleted', async () => {
    await paceline.kubectl('delete', 'pair', 'smol', '--timeout=60s')
    expect(await belongings(paceline, 'smol')).toEqual([])
    const claims = await paceline.kubectl(
      'get',
      'persistentvolumeclaims,jobs',
      '-l',
      'paceline.dev/kind=model',
      '-o',
      'name',
    )
    expect(claims).toBe('')
  })
})
