import { describe, expect, test } from 'vitest'
import { readConfig } from './config.ts'

const base = { PACELINE_ROUTER: JSON.stringify({ port: 9000, nats: { url: 'nats://a', user: 'router' } }) }

describe('settings', () => {
  test('come as JSON, with defaults for the rest', () => {
    const { config, natsPassword } = readConfig({ ...base, PACELINE_NATS_PASSWORD: 'secret' })
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 9000,
      logLevel: 'info',
      limits: { bodyBytesMax: 1_048_576 },
    })
    expect([natsPassword, JSON.stringify(config).includes('secret')]).toEqual(['secret', false])
  })

  test('single variables win over the JSON, and are enough alone', () => {
    expect(readConfig({ ...base, PACELINE_ROUTER_PORT: '0', PACELINE_NATS_USER: 'u' }).config).toMatchObject({
      port: 0,
      nats: { url: 'nats://a', user: 'u' },
    })
    expect(readConfig({ PACELINE_NATS_URL: 'nats://b' }).config.nats).toEqual({ url: 'nats://b', user: '' })
  })

  test('are frozen', () => {
    expect(Object.isFrozen(readConfig(base).config.limits)).toBe(true)
  })

  test('report all mistakes at once, unknown keys and variables among them', () => {
    const wrong = {
      PACELINE_ROUTER: JSON.stringify({ port: 'x', color: 1, nats: { url: '' } }),
      PACELINE_ROUTER_COLOUR: 'red',
    }
    for (const part of ['port', 'color', 'nats.url', 'PACELINE_ROUTER_COLOUR'])
      expect(() => readConfig(wrong)).toThrow(part)
    expect(() => readConfig({ PACELINE_ROUTER: '[]' })).toThrow('not a JSON object')
    expect(() => readConfig({})).toThrow('nats')
  })
})
