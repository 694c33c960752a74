/**
 * The configuration of the local `nats-server`: loopback only, one user per role with the permissions of
 * `contracts/permissions.ts`, JetStream below the instance's folder. Pure; the file it becomes is readable by its owner only.
 */
import { limits } from '#contracts/limits.ts'
import { permissions, type Role } from '#contracts/permissions.ts'

export interface NatsSettings {
  readonly port: number
  readonly monitorPort: number
  readonly storeDir: string
  readonly pidFile: string
  readonly passwords: Readonly<Record<Role, string>>
}

/** A message's headers count as payload for the server, but not for whoever cut the payload to size. */
const headerBytesMax = 16 * 1024

export function natsConfiguration(settings: NatsSettings): string {
  const users = (Object.keys(permissions) as Role[]).map((role) => user(role, settings.passwords[role]))
  return [
    'server_name: paceline-local',
    `listen: "127.0.0.1:${settings.port}"`,
    `http: "127.0.0.1:${settings.monitorPort}"`,
    `pid_file: ${JSON.stringify(settings.pidFile)}`,
    `max_payload: ${limits.nats.payloadBytesMax + headerBytesMax}`,
    `jetstream { store_dir: ${JSON.stringify(settings.storeDir)}, max_memory_store: 64MB, max_file_store: 1GB }`,
    'authorization {',
    '  timeout: 5',
    '  users: [',
    ...users.map((line) => `    ${line}`),
    '  ]',
    '}',
    '',
  ].join('\n')
}

function user(role: Role, password: string): string {
  const { publish, subscribe } = permissions[role]
  const list = (subjects: readonly string[]) => `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`
  const allowed = `permissions: { publish: ${list(publish)}, subscribe: ${list(subscribe)} }`
  return `{ user: ${role}, password: ${JSON.stringify(password)}, ${allowed} }`
}
