import { expect, test } from 'vitest'
import { permissions } from '#contracts/permissions.ts'
import { natsServerConfig } from './natsServerConfig.ts'

const options = {
  host: '127.0.0.1',
  port: 4222,
  storeDir: '/var/lib/nats',
  passwords: { operator: 'o"1', router: 'r', worker: 'w' },
}

test('every role gets a user with exactly its listed subjects', () => {
  const text = natsServerConfig(options)
  for (const [role, { publish, subscribe }] of Object.entries(permissions)) {
    expect(text).toContain(`user: "${role}"`)
    expect(text).toContain(`publish: { allow: [${publish.map((subject) => `"${subject}"`).join(', ')}] }`)
    expect(text).toContain(`subscribe: { allow: [${subscribe.map((subject) => `"${subject}"`).join(', ')}] }`)
  }
})

test('quotes in a password cannot end its string', () => {
  expect(natsServerConfig(options)).toContain('password: "o\\"1"')
})

test('monitoring and the ports file appear only where they are asked for', () => {
  expect(natsServerConfig(options)).not.toMatch(/http|ports_file_dir/)
  const text = natsServerConfig({ ...options, port: -1, portsFileDir: '/run', monitorPort: 8222 })
  expect(text).toContain('ports_file_dir: "/run"')
  expect(text).toContain('http: "127.0.0.1:8222"')
})
