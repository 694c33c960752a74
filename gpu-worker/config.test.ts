import { expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { printable, readConfig } from './config.ts'

const config = {
  worker: 'w-1',
  deployment: 'smol',
  revision: 'r1',
  modelPath: '/models/smol.gguf',
  modelSha256: null,
  engine: {},
  kvCacheType: 'auto',
  slo: {},
  nats: { url: 'nats://127.0.0.1:4222', user: 'worker' },
  metricsPort: 0,
  cacheDir: '/cache',
}
const environment = (changes: object = {}, password: string | undefined = 'secret') => ({
  PACELINE_WORKER: JSON.stringify({ ...config, ...changes }),
  ...(password === undefined ? {} : { PACELINE_NATS_PASSWORD: password }),
})
function mistakesOf(variables: Record<string, string>): string {
  try {
    readConfig(variables)
  } catch (error) {
    if (error instanceof Failure && error.code === 'invalid-configuration') return error.message
    throw error
  }
  throw new Error('no mistake was found')
}

test('a good configuration gets its defaults', () => {
  const settings = readConfig(environment())
  expect(settings.config.engine).toMatchObject({ kind: 'llamacpp', slots: 8, threads: 'auto' })
  expect(settings.natsPassword).toBe('secret')
})

test('all mistakes are named at once', () => {
  const message = mistakesOf({
    PACELINE_WORKER: JSON.stringify({ ...config, metricsPort: -1, engine: { slots: 0 }, x: 1 }),
  })
  for (const part of ['PACELINE_NATS_PASSWORD', 'metricsPort', 'engine.slots', '"x"']) expect(message).toContain(part)
})

test('what is missing or not JSON is said in those words', () => {
  expect(mistakesOf({})).toContain('PACELINE_WORKER is not set')
  expect(mistakesOf({ PACELINE_WORKER: '{', PACELINE_NATS_PASSWORD: '' })).toContain('PACELINE_WORKER is not JSON')
  expect(mistakesOf(environment({ modelPath: null }))).toContain('modelPath: required')
})

test('the password is never printed', () => {
  expect(JSON.stringify(printable(readConfig(environment())))).not.toContain('secret')
})
