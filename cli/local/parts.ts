/** How each process of a local instance is started: program, arguments, environment, log. */
import { join } from 'node:path'
import type * as z from 'zod'
import { type OperatorConfig, operatorConfigVariable, workerNatsPasswordVariable } from '#contracts/operatorConfig.ts'
import type { Role } from '#contracts/permissions.ts'
import { type RouterConfig, routerConfigVariable, routerNodeFlags } from '#contracts/routerConfig.ts'
import { natsPasswordVariable } from '#contracts/workerConfig.ts'
import type { LogLevel } from '#runtime/log.ts'
import type { Context } from '../context.ts'
import type { InstancePaths } from './instance.ts'
import type { PartCommand } from './supervised.ts'

export interface LocalSettings {
  readonly config: Context['config']
  readonly natsServer: string
  readonly host: string
  readonly port: number
  /** Where clients on this machine reach the router. */
  readonly url: string
  readonly natsPort: number
  readonly natsMonitorPort: number
  readonly operatorPort: number
  readonly passwords: Readonly<Record<Role, string>>
  readonly resources: string
  readonly logLevel: LogLevel
}

/**
 * nats-server knows nothing of our pipe, so a shell stands beside it: it ends the server when the pipe ends, and ends with it.
 * Descriptor 3, because a background job's own standard input is not the shell's. `wait` returns early on a signal, hence the loop.
 */
const natsGuard = `
exec 3<&0 </dev/null
"$@" & server=$!
(read -r _ <&3; kill "$server") 2>/dev/null & watcher=$!
trap 'kill "$server" 2>/dev/null' TERM
wait "$server"; code=$?
while kill -0 "$server" 2>/dev/null; do wait "$server"; code=$?; done
kill "$watcher" 2>/dev/null
exit "$code"
`

export function natsCommand(settings: LocalSettings, paths: InstancePaths): PartCommand {
  return {
    title: 'nats',
    command: '/bin/sh',
    args: ['-c', natsGuard, 'nats-guard', settings.natsServer, '-c', paths.natsConfiguration, '-P', paths.natsPid],
    environment: settings.config.environment,
    logPath: join(paths.logs, 'nats.log'),
  }
}

export function operatorCommand(settings: LocalSettings, paths: InstancePaths): PartCommand {
  const config = {
    platform: {
      kind: 'local',
      resources: settings.resources,
      stateDir: paths.folder,
      cacheDir: settings.config.cacheDir,
    },
    nats: { url: natsUrl(settings), user: 'operator' },
    workerNatsUser: 'worker',
    http: { host: '127.0.0.1', port: settings.operatorPort },
    routerUrl: settings.url,
    logLevel: settings.logLevel,
  } satisfies z.input<typeof OperatorConfig>
  return ours('operator', settings, paths, {
    [operatorConfigVariable]: JSON.stringify(config),
    [natsPasswordVariable]: settings.passwords.operator,
    [workerNatsPasswordVariable]: settings.passwords.worker,
  })
}

export function routerCommand(settings: LocalSettings, paths: InstancePaths): PartCommand {
  const config = {
    host: settings.host,
    port: settings.port,
    nats: { url: natsUrl(settings), user: 'router' },
    logLevel: settings.logLevel,
    trafficFolder: paths.traffic,
  } satisfies Partial<RouterConfig>
  return ours('router', settings, paths, {
    [routerConfigVariable]: JSON.stringify(config),
    [natsPasswordVariable]: settings.passwords.router,
  })
}

export const natsUrl = (settings: Pick<LocalSettings, 'natsPort'>) => `nats://127.0.0.1:${settings.natsPort}`

const nodeFlags = { operator: [], router: routerNodeFlags }

function ours(part: 'operator' | 'router', settings: LocalSettings, paths: InstancePaths, own: Record<string, string>) {
  return {
    title: part,
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', ...nodeFlags[part], join(settings.config.root, part, 'main.ts')],
    // Compiled code is kept between starts: faster, and 20 MB less in the router.
    environment: {
      NODE_COMPILE_CACHE: join(settings.config.cacheDir, 'compiled'),
      ...settings.config.environment,
      ...own,
    },
    logPath: join(paths.logs, `${part}.log`),
  }
}
