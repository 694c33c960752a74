/** Against the fake API server over real HTTP. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLog } from '#runtime/log.ts'
import { type FakeApiServer, startFakeApiServer } from '#test/kubernetes/fakeApiServer.ts'
import { type Stand, standOn } from '#test/kubernetes/stand.ts'
import { drainFinalizer } from '../kubernetes/core/names.ts'
import { letGo } from './letGo.ts'

const log = createLog({ part: 'test', level: 'error' })
let server: FakeApiServer
let stand: Stand
beforeEach(async () => {
  server = await startFakeApiServer()
  stand = standOn(server)
})
afterEach(async () => {
  stand[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

const pair = (name: string, finalizers: string[]) =>
  server.put('modeldeployments', { metadata: { name, finalizers }, spec: {} })
const finalizersLeft = () =>
  Object.fromEntries(server.objects('modeldeployments').map(({ metadata }) => [metadata.name, metadata.finalizers]))
const patches = () => server.requests.filter(({ method }) => method === 'PATCH').length

test('only the finalizer of the operator goes, and a pair without it is not written', async () => {
  pair('held', [drainFinalizer])
  pair('shared', ['other.example/keep', drainFinalizer])
  pair('free', ['other.example/keep'])
  expect(await letGo(stand.client, log)).toBe(2)
  expect(finalizersLeft()).toEqual({ held: [], shared: ['other.example/keep'], free: ['other.example/keep'] })
  expect(patches()).toBe(2)
})

test('a second run finds nothing to do', async () => {
  pair('held', [drainFinalizer])
  await letGo(stand.client, log)
  expect(await letGo(stand.client, log)).toBe(0)
})

test('a pair that changes meanwhile is read again, and nothing of the change is lost', async () => {
  pair('held', [drainFinalizer])
  let isFirst = true
  server.fault = ({ method }) => {
    if (method !== 'PATCH' || !isFirst) return null
    isFirst = false
    pair('held', [drainFinalizer, 'other.example/new'])
    return null
  }
  expect(await letGo(stand.client, log)).toBe(1)
  expect(finalizersLeft()).toEqual({ held: ['other.example/new'] })
})

test('without the definitions there are no pairs; without the right to read them it fails', async () => {
  server.fault = () => ({ kind: 'status', status: 404 })
  expect(await letGo(stand.client, log)).toBe(0)
  server.fault = () => ({ kind: 'status', status: 403 })
  await expect(letGo(stand.client, log)).rejects.toThrow(/403/)
})
