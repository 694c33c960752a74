/** A person's first quarter of an hour: install, apply the example, ask, look, upgrade, roll back, uninstall. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitFor } from './kit/cluster.ts'
import { describeCluster } from './kit/sharedCluster.ts'
import { belongings, rolledOut, simulatedPair, workersOf } from './pairs.ts'
import { example, install, type Paceline } from './paceline.ts'

/** Without what differs from run to run: times, ages, made-up names, measurements. */
function settled(text: string): string {
  return `${text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, '<uid>')
    .replaceAll(/(Resource Version: +)\d+/g, '$1<version>')
    // Of the spec with all its defaults, and a field that comes with a version changes it.
    .replaceAll(/\b[0-9a-f]{10}\b/g, '<revision>')
    .replaceAll(/\b\d+(?:\.\d+)?s$/gm, '<age>')
    .replaceAll(/(Generation: +)\d+/g, '$1<generation>')
    // Only there once a router has said it before the last write.
    .replaceAll(/^ *Slo Goodput:.*\n/gm, '')
    .replaceAll(/((?:Tokens Per Second|Mean Acceptance Length): +)[\d.]+/g, '$1<measured>')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd()}\n`
}

/** What a person has read and found good; written by the first run that finds none. */
function golden(name: string, found: string): string {
  const path = join(import.meta.dirname, 'golden', name)
  if (!existsSync(path)) writeFileSync(path, found)
  return readFileSync(path, 'utf8')
}

describeCluster('a first pair', (cluster) => {
  let paceline: Paceline
  beforeAll(async () => {
    paceline = await install(cluster(), {
      namespace: 'serve',
      values: { operator: { replicas: 1 }, router: { replicas: 1 } },
    })
  })
  afterAll(async () => {
    // The last test has uninstalled it; where an earlier one failed, the pods go with their namespace.
    await cluster().tryKubectl(['delete', 'pairs', '--all', '-n', paceline.namespace, '--timeout=60s'])
    // Empty by now, and gone with the cluster at the latest: nobody waits for the namespace controller.
    await cluster().kubectl('delete', 'namespace', paceline.namespace, '--wait=false')
  })

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
    const listed = settled(await paceline.kubectl('get', 'pairs'))
    expect(listed).toBe(golden('get-pairs.txt', listed))
    const describe = () => paceline.kubectl('describe', 'pair', 'smol')
    const described = await waitFor({ what: 'a measured pair', waitMsMax: 30_000, explain: describe }, async () => {
      const text = await describe()
      return text.includes('Mean Acceptance Length') && text
    })
    const [about = '', events = ''] = described.split(/^Events:/m)
    expect(settled(about)).toBe(golden('describe-pair.txt', settled(about)))
    for (const word of ['WorkerStarted', 'Serving', 'Verified']) expect.soft(events).toContain(word)
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
    const owned = ['get', 'persistentvolumeclaims,jobs', '-l', 'paceline.dev/kind=model', '-o', 'name']
    const left = async () => [...(await belongings(paceline, 'smol')), await paceline.kubectl(...owned)].join('')
    await waitFor(
      { what: 'nothing left of the pair', waitMsMax: 30_000, explain: left },
      async () => (await left()) === '',
    )
  })

  test('that outlives its release can still be deleted, and its workers go with it', async () => {
    await paceline.apply(simulatedPair('left'))
    await paceline.until('left', 'Ready')
    await cluster().helm('uninstall', 'paceline', '--namespace', paceline.namespace, '--wait')
    await paceline.kubectl('delete', 'pair', 'left', '--timeout=30s')
    await waitFor(
      { what: 'no worker left', waitMsMax: 60_000, explain: () => paceline.describe() },
      async () => (await workersOf(paceline, 'left')).length === 0,
    )
  })
})
