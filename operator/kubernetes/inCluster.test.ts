import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { inClusterAccess } from './inCluster.ts'

let files: string
beforeEach(async () => {
  files = await mkdtemp(join(tmpdir(), 'paceline-account-'))
  await writeFile(join(files, 'ca.crt'), 'PEM')
  await writeFile(join(files, 'token'), 'first\n')
})
afterEach(() => rm(files, { recursive: true, force: true }))
const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }

test('a pod finds its API server and logs in with its token, a fresh one after half a minute or when it was refused', async () => {
  const clock = createFakeClock()
  const access = inClusterAccess(pod, clock, files)
  const token = async (fresh = false) => (await access?.credentials(fresh))?.headers['authorization']
  expect(access?.server.href).toBe('https://10.0.0.1:6443/')
  expect(await token()).toBe('Bearer first')
  await writeFile(join(files, 'token'), 'second')
  expect(await token()).toBe('Bearer first')
  expect(await token(true)).toBe('Bearer second')
  await writeFile(join(files, 'token'), 'third')
  await clock.advance(30_001)
  expect(await token()).toBe('Bearer third')
})

test('an address of the new kind is bracketed; outside a pod, or in one without an account, there is no access', () => {
  const clock = createFakeClock()
  const sixth = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, clock, files)
  expect(sixth?.server.hostname).toBe('[fd00::1]')
  expect(inClusterAccess({}, clock, files)).toBeNull()
  expect(inClusterAccess(pod, clock, join(files, 'none'))).toBeNull()
})

test('a token that cannot be read is a failure that says what to look at, and is read again by whoever asks next', async () => {
  const access = inClusterAccess(pod, createFakeClock(), files)
  await rm(join(files, 'token'))
  await expect(access?.credentials(false)).rejects.toThrow(/automountServiceAccountToken/)
  await writeFile(join(files, 'token'), 'back')
  expect((await access?.credentials(false))?.headers['authorization']).toBe('Bearer back')
})
