/** Whole lives of the operator against a played cluster (`test/kubernetes/operatorStand.ts`). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DeploymentName } from '#contracts/ids.ts'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { ModelRouteStatus } from '#contracts/resources/modelRoute.ts'
import { createFakeNetwork, type FakeNetwork } from '#test/simulate/fakeBus.ts'
import { createRandom } from '#test/simulate/random.ts'
import { type FakeApiServer, type StoredObject, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import {
  type OperatorLife,
  type PlayedNode,
  playNode,
  standClock,
  startOperatorLife,
} from '#test/kubernetes/operatorStand.ts'
import { eventually } from '#test/kubernetes/stand.ts'

let server: FakeApiServer
let network: FakeNetwork
let node: PlayedNode
const lives: OperatorLife[] = []

beforeEach(async () => {
  server = await startFakeApiServer()
  network = createFakeNetwork({ clock: standClock, random: createRandom(1) })
  node = playNode(server, network)
})
afterEach(async () => {
  for (const life of lives.splice(0)) await life.end()
  node.stop()
  await server[Symbol.asyncDispose]()
})

const start = async (options: Parameters<typeof startOperatorLife>[2] = {}) => {
  const life = await startOperatorLife(server, network, options)
  lives.push(life)
  return life
}
const pair = (name: string, spec: object = {}) =>
  server.put('modeldeployments', {
    metadata: { ...server.object('modeldeployments', name)?.metadata, name },
    spec: { engine: { kind: 'simulated', contextTokensMax: 512 }, ...spec },
    status: server.object('modeldeployments', name)?.['status'],
  })
const statusOf = (name: string) =>
  server.object('modeldeployments', name)?.['status'] as ModelDeploymentStatus | undefined
const conditionOf = (name: string, type: string) =>
  statusOf(name)?.conditions.find((condition) => condition.type === type)
const pods = () => server.objects('pods').filter(({ metadata }) => metadata.deletionTimestamp === undefined)
const ready = (name: string, count = 1) =>
  eventually(
    () =>
      conditionOf(name, 'Ready')?.status === 'True' &&
      conditionOf(name, 'Progressing')?.reason === 'Complete' &&
      statusOf(name)?.observedGeneration === server.object('modeldeployments', name)?.metadata.generation &&
      pods().filter(({ metadata }) => metadata.labels?.['paceline.dev/deployment'] === name).length === count,
    () => JSON.stringify([statusOf(name)?.conditions, pods().map(({ metadata }) => metadata.name)]),
  )
/** Until nothing has been asked for a while. */
const quiet = async () => {
  let before = -1
  while (server.writes().length !== before) {
    before = server.writes().length
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
const plainOf = (object: StoredObject) => ({
  labels: object.metadata.labels,
  spec: object['spec'],
  data: object['data'],
})

describe('a pair in a cluster', () => {
  test('gets its workers, what stands beside them, and a status; then nothing more is written', async () => {
    await start()
    pair('smol', { replicas: 2 })
    await ready('smol', 2)
    expect(server.object('modeldeployments', 'smol')?.metadata.finalizers).toEqual(['paceline.dev/drain'])
    expect(server.object('services', 'smol-workers')?.['spec']).toMatchObject({ clusterIP: 'None' })
    expect(server.object('poddisruptionbudgets', 'smol-workers')?.['spec']).toMatchObject({ minAvailable: 1 })
    expect(server.object('configmaps', 'smol-revisions')).toBeDefined()
    for (const kind of ['pods', 'services', 'poddisruptionbudgets', 'configmaps'])
      for (const { metadata } of server.objects(kind)) expect(metadata.ownerReferences).toHaveLength(1)
    await quiet()
    const before = server.writes().length
    for (let i = 0; i < 20; i++) lives[0]?.queue.add(DeploymentName.parse('smol'))
    await quiet()
    expect(server.writes().slice(before)).toEqual([])
  })

  test('is told of its workers by the first status already, and does not wait for what stands beside them', async () => {
    await start()
    server.fault = ({ path }) =>
      /\/(services|poddisruptionbudgets)\//.test(path) ? { kind: 'status', status: 403 } : null
    pair('smol', { replicas: 2 })
    await ready('smol', 2)
    const statuses = server.writes().filter(({ path }) => path.endsWith('/modeldeployments/smol/status'))
    expect(statuses[0]?.body).toMatchObject({ status: { replicas: 2 } })
    server.fault = () => null
    await eventually(
      () => server.object('poddisruptionbudgets', 'smol-workers') !== undefined,
      () => 'no disruption budget',
    )
  })

  test('that is deleted drains its workers and then goes, and a record that stands alone is removed', async () => {
    await start()
    pair('smol')
    await ready('smol')
    server.delete('modeldeployments', 'smol')
    await eventually(
      () => server.object('modeldeployments', 'smol') === undefined,
      () => JSON.stringify(statusOf('smol')),
    )
    expect(server.objects('pods')).toEqual([])
  })

  test('gets a worker in place of one that fell over, whose pod goes and whose last words stay to be read', async () => {
    await start()
    pair('smol')
    await ready('smol')
    const [first] = pods()
    node.crash(first?.metadata.name ?? '')
    await eventually(
      () => server.object('pods', first?.metadata.name ?? '') === undefined,
      () => 'it stays',
    )
    await ready('smol')
    const notes = server.objects('events').map((event) => String(event['note']))
    expect(notes.some((note) => note.includes('exited with code 1') && note.includes('it fell over'))).toBe(true)
  })

  test('never gets a worker twice, whether answers are lost, watches lag or the same is asked again', async () => {
    await start()
    let seed = 1
    server.fault = ({ method }) => {
      seed = (seed * 16_807) % 2_147_483_647
      return method !== 'GET' && seed % 3 === 0 ? { kind: 'lost' } : null
    }
    pair('smol', { replicas: 5 })
    await eventually(
      () => server.objects('pods').length >= 5,
      () => `${server.objects('pods').length} pods`,
    )
    server.fault = () => null
    await ready('smol', 5)
    await quiet()
    const created = server.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/pods'))
    const names = new Set(created.map(({ body }) => (body as StoredObject).metadata.name))
    expect(names.size).toBe(5)
  })

  test('that is younger gets no name that an older one has, until that one lets go of it', async () => {
    await start()
    pair('old', { servedNames: ['chat'] })
    await ready('old')
    pair('new', { servedNames: ['chat'] })
    await ready('new')
    expect(conditionOf('new', 'Degraded')).toMatchObject({ status: 'True', reason: 'NameConflict' })
    pair('old', { servedNames: [] })
    await eventually(
      () => conditionOf('new', 'Degraded')?.status === 'False',
      () => JSON.stringify(statusOf('new')),
    )
  })

  test('that nobody can understand keeps what runs, says so, and goes on once it is corrected', async () => {
    await start()
    pair('smol')
    await ready('smol')
    const before = pods().map(({ metadata }) => metadata.name)
    pair('smol', { replicas: 'many' })
    await eventually(
      () => conditionOf('smol', 'Degraded')?.reason === 'ResourcesInvalid',
      () => JSON.stringify(statusOf('smol')),
    )
    expect(pods().map(({ metadata }) => metadata.name)).toEqual(before)
    pair('smol', { replicas: 2 })
    await ready('smol', 2)
  })
})

describe('a route in a cluster', () => {
  const route = (name: string, spec: object) =>
    server.put('modelroutes', {
      metadata: { ...server.object('modelroutes', name)?.metadata, name },
      spec,
      status: server.object('modelroutes', name)?.['status'],
    })
  const says = (name: string, type: string, reason: string) =>
    eventually(
      () => reasonOf(name, type) === reason,
      () => `${type} of ${name}: ${JSON.stringify(server.object('modelroutes', name)?.['status'])}`,
    )
  const reasonOf = (name: string, type: string) =>
    (server.object('modelroutes', name)?.['status'] as ModelRouteStatus | undefined)?.conditions.find(
      (condition) => condition.type === type,
    )?.reason

  test('is told where requests go and how what it names stands; then nothing more is written', async () => {
    await start()
    route('helper', { name: 'assistant', direct: { deployment: 'smol' } })
    await says('helper', 'Degraded', 'DeploymentMissing')
    expect(reasonOf('helper', 'Ready')).toBe('NoDeploymentReady')
    pair('smol')
    await says('helper', 'DeploymentsReady', 'AllReady')
    await says('helper', 'Ready', 'Routing')
    await says('helper', 'Degraded', 'AsExpected')
    await quiet()
    const notes = server.objects('events').filter(({ regarding }) => JSON.stringify(regarding).includes('ModelRoute'))
    expect(notes.map(({ reason }) => reason)).toContain('AllReady')
    const before = server.writes().length
    route('helper', { name: 'assistant', direct: { deployment: 'smol' } })
    await quiet()
    expect(server.writes().slice(before)).toEqual([])
    server.delete('modeldeployments', 'smol')
    await says('helper', 'DeploymentsReady', 'DeploymentMissing')
  })

  test('gets no name that an older pair or route has, and keeps its own from a younger pair', async () => {
    await start()
    pair('old', { servedNames: ['chat'] })
    await ready('old')
    route('first', { name: 'chat', direct: { deployment: 'old' } })
    await says('first', 'Degraded', 'NameConflict')
    pair('old', { servedNames: [] })
    await says('first', 'Degraded', 'AsExpected')
    route('second', { name: 'chat', direct: { deployment: 'old' } })
    await says('second', 'Degraded', 'NameConflict')
    pair('young', { servedNames: ['chat'] })
    await eventually(
      () => conditionOf('young', 'Degraded')?.message.includes('route "first"') === true,
      () => JSON.stringify(statusOf('young')),
    )
    server.delete('modelroutes', 'first')
    await says('second', 'Degraded', 'AsExpected')
  })
})

describe('what the cluster refuses', () => {
  test('is said in a condition in its own words, and forgotten once it is taken', async () => {
    await start()
    server.fault = ({ method, path }) =>
      method === 'POST' && path.endsWith('/pods') ? { kind: 'status', status: 403 } : null
    pair('smol')
    await eventually(
      () => conditionOf('smol', 'Degraded')?.status === 'True',
      () => JSON.stringify(statusOf('smol')),
    )
    expect(conditionOf('smol', 'Degraded')?.message).toMatch(/create .*pods.*403/)
    server.fault = () => null
    await ready('smol')
    await eventually(
      () => conditionOf('smol', 'Degraded')?.status === 'False',
      () => JSON.stringify(statusOf('smol')),
    )
  })

  test('of a pair that nobody understands is said too, and nothing is done with it until it is corrected', async () => {
    await start()
    pair('smol', { replicas: 'many' })
    await eventually(
      () => conditionOf('smol', 'Degraded')?.reason === 'SpecNotUnderstood',
      () => JSON.stringify(statusOf('smol')),
    )
    expect(server.objects('pods')).toEqual([])
    pair('smol')
    await ready('smol')
  })
})

describe('a model in a cluster', () => {
  const sha256 = 'b'.repeat(64)
  const target = { source: 'https://models.example/b.gguf', sha256 }
  const withModel = { engine: { kind: 'llamacpp' }, target }
  const claim = 'model-bbbbbbbbbbbbbbbb'
  const finish = (type: 'Complete' | 'Failed') => {
    const job = server.object('jobs', `${claim}-fetch`)
    if (job !== undefined)
      server.put('jobs', { ...job, status: { conditions: [{ type, status: 'True', message: 'no route' }] } })
  }

  test('is fetched once for all pairs that name it, and goes with the last of them', async () => {
    await start()
    pair('one', withModel)
    pair('two', withModel)
    await eventually(
      () => server.object(`persistentvolumeclaims`, claim)?.metadata.ownerReferences?.length === 2,
      () => 'not owned by both',
    )
    await eventually(
      () => server.object('jobs', `${claim}-fetch`) !== undefined,
      () => 'no job',
    )
    expect(conditionOf('one', 'ModelCacheReady')?.status).not.toBe('True')
    finish('Complete')
    await ready('one')
    await ready('two')
    expect(server.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/jobs'))).toHaveLength(1)
    pair('one')
    await eventually(
      () => server.object('persistentvolumeclaims', claim)?.metadata.ownerReferences?.length === 2,
      () => 'kept for going back',
    )
    expect(plainOf(server.object('persistentvolumeclaims', claim) ?? ({} as StoredObject)).spec).toMatchObject({
      accessModes: ['ReadWriteOnce'],
    })
  })

  test('that cannot be fetched is tried again later, and at once when its source is corrected', async () => {
    await start()
    pair('smol', withModel)
    await eventually(
      () => server.object('jobs', `${claim}-fetch`) !== undefined,
      () => 'no job',
    )
    const first = server.object('jobs', `${claim}-fetch`)?.metadata.uid
    finish('Failed')
    await eventually(
      () => conditionOf('smol', 'ModelCacheReady')?.reason === 'FetchFailed',
      () => JSON.stringify(statusOf('smol')),
    )
    expect(conditionOf('smol', 'Degraded')?.message).toContain('no route')
    await eventually(
      () => (server.object('jobs', `${claim}-fetch`)?.metadata.uid ?? first) !== first,
      () => 'not tried again',
    )
    finish('Complete')
    await ready('smol')
  })
})

test('an operator that dies after any of its writes leaves nothing that the next one does not bring to the same end', async () => {
  const finalOf = async (name: string) => {
    await ready(name)
    await quiet()
    return {
      conditions: statusOf(name)?.conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`),
      finalizers: server.object('modeldeployments', name)?.metadata.finalizers,
      objects: ['pods', 'services', 'poddisruptionbudgets', 'configmaps'].map((kind) => server.objects(kind).length),
    }
  }
  const undisturbed = await start()
  pair('smol')
  const expected = await finalOf('smol')
  const writes = undisturbed.writes
  expect(writes).toBeGreaterThan(5)
  await undisturbed.end()
  lives.length = 0
  for (let fatal = 1; fatal <= writes; fatal++) {
    for (const kind of ['pods', 'services', 'poddisruptionbudgets', 'configmaps'])
      for (const { metadata } of server.objects(kind)) server.delete(kind, metadata.name, 0)
    server.put('modeldeployments', { metadata: { name: 'smol' }, spec: {} })
    const gone = server.object('modeldeployments', 'smol')
    if (gone !== undefined) server.put('modeldeployments', { ...gone, metadata: { ...gone.metadata, finalizers: [] } })
    server.delete('modeldeployments', 'smol')
    const first = await startOperatorLife(server, network, { writesMax: fatal })
    pair('smol')
    // The last of them come only sometimes: what changes within a moment is written once.
    await Promise.race([
      eventually(
        () => first.dead,
        () => 'it lives',
      ).catch(() => undefined),
      finalOf('smol').catch(() => undefined),
    ])
    await first.end()
    const second = await startOperatorLife(server, network)
    expect({ fatal, ...(await finalOf('smol')) }).toEqual({ fatal, ...expected })
    await second.end()
  }
})
