/**
 * The nats-server configuration text with one user per role, from `contracts/permissions.ts`. Pure.
 *
 * Whoever starts a server (the local platform, tests, the chart's generator) uses this, so that permissions are written in
 * one place. Passwords stand in the text: the file must be readable by its owner only.
 */
import { permissions, type Role } from '#contracts/permissions.ts'

export interface NatsServerOptions {
  readonly host: string
  /** -1 lets the server choose (`ports_file_dir` then says which). */
  readonly port: number
  readonly storeDir: string
  /** The user of a role is named like the role. */
  readonly passwords: Readonly<Record<Role, string>>
  /** Where the server writes the ports it chose. */
  readonly portsFileDir?: string
  /** Loopback port of the server's own monitoring page; none where absent. */
  readonly monitorPort?: number
}

export function natsServerConfig(options: NatsServerOptions): string {
  const lines = [
    `host: ${quote(options.host)}`,
    `port: ${options.port}`,
    ...(options.portsFileDir === undefined ? [] : [`ports_file_dir: ${quote(options.portsFileDir)}`]),
    ...(options.monitorPort === undefined ? [] : [`http: ${quote(`127.0.0.1:${options.monitorPort}`)}`]),
    // A process that vanished without closing its connection is noticed within about 10 s.
    'ping_interval: "5s"',
    'ping_max: 2',
    // A reader this far behind is cut off and lists again; it must not hold up the others.
    'write_deadline: "2s"',
    'max_payload: 1MB',
    'jetstream {',
    `  store_dir: ${quote(options.storeDir)}`,
    '  max_memory_store: 64MB',
    '  max_file_store: 1GB',
    '}',
    natsUsers((role) => quote(options.passwords[role])),
  ]
  return lines.join('\n')
}

/** One user per role. `password` gives a value of the configuration: a quoted string, or a variable as the chart has it. */
export function natsUsers(password: (role: Role) => string): string {
  const users = (Object.keys(permissions) as Role[]).flatMap((role) => userLines(role, password(role)))
  return ['authorization {', '  users: [', ...users, '  ]', '}', ''].join('\n')
}

function userLines(role: Role, password: string): string[] {
  const { publish, subscribe } = permissions[role]
  return [
    '    {',
    `      user: ${quote(role)}`,
    `      password: ${password}`,
    '      permissions: {',
    `        publish: { allow: [${publish.map(quote).join(', ')}] }`,
    `        subscribe: { allow: [${subscribe.map(quote).join(', ')}] }`,
    '      }',
    '    }',
  ]
}

/** The server's own string form; JSON's escapes are a subset of it. */
function quote(text: string): string {
  return JSON.stringify(text)
}
