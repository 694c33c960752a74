import { expect, test } from 'vitest'
import { operatorConfigVariable, workerNatsPasswordVariable } from '#contracts/operatorConfig.ts'
import { natsPasswordVariable } from '#contracts/workerConfig.ts'
import { readSettings } from './config.ts'

const local = { kind: 'local', resources: 'examples', stateDir: '/state', cacheDir: '/cache' }
const config = {
  platform: local,
  nats: { url: 'nats://127.0.0.1:4222', user: 'operator' },
  routerUrl: 'http://127.0.0.1:8080',
}
const environment = {
  [operatorConfigVariable]: JSON.stringify(config),
  [natsPasswordVariable]: 'own-secret',
  [workerNatsPasswordVariable]: 'worker-secret',
  HF_TOKEN: 'hub-secret',
  PATH: '/bin',
}

test('defaults are filled in, and the worker is the one of this checkout', () => {
  const settings = readSettings(environment, '/usr/bin/node')
  expect(settings.config).toMatchObject({
    workerNatsUser: 'worker',
    platform: { offline: false },
    http: { host: '127.0.0.1', port: 0 },
  })
  expect(settings.processes).toMatchObject({ node: '/usr/bin/node', workerPassword: 'worker-secret' })
  expect(settings.processes?.workerMain).toMatch(/gpu-worker\/main\.ts$/)
  expect(settings.sources).toEqual({ huggingFaceEndpoint: 'https://huggingface.co', huggingFaceToken: 'hub-secret' })
})

test('workers inherit the environment without the secrets', () => {
  expect(readSettings(environment, 'node').processes?.environment).toEqual({ PATH: '/bin' })
})

test('every mistake is named at once, and no value is shown', () => {
  const broken = {
    [operatorConfigVariable]: JSON.stringify({ ...config, extra: 'x', platform: { ...local, stateDir: 7 } }),
  }
  expect(() => readSettings(broken, 'node')).toThrow(
    /NATS_PASSWORD is not set\n.*WORKER_NATS_PASSWORD is not set\n.*stateDir: .*\n.*extra/s,
  )
  const text = { ...environment, [operatorConfigVariable]: 'not-json-secret' }
  expect(() => readSettings(text, 'node')).toThrow(/expected object/)
  expect(() => readSettings(text, 'node')).not.toThrow(/not-json-secret/)
})
