/**
 * `paceline up` (`npm start`): everything a request needs, on this machine, until Ctrl-C.
 *
 * Reads as a table of contents; the processes are in `local/platform.ts`. Whatever goes wrong on the way, what was started is
 * ended before this returns.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { version } from '#runtime/version.ts'
import { backends, ensureBackend } from './backend.ts'
import type { Context } from './context.ts'
import { startDetached } from './detach.ts'
import { parseChoice, parseFlags, parsePort } from './flags.ts'
import { identify } from './local/identity.ts'
import {
  assertNoInstance,
  claimInstance,
  type InstanceRecord,
  instancePaths,
  releaseInstance,
} from './local/instance.ts'
import { natsUrl, type LocalSettings } from './local/parts.ts'
import { LocalPlatform, randomPassword } from './local/platform.ts'
import { assertPortFree, freePorts } from './local/ports.ts'
import { News, type Served, waitReady, watchInstance } from './local/waitReady.ts'
import { resourcesIn } from './models.ts'
import { findTool } from './tools/tool.ts'
import { natsServer } from './tools/natsServer.ts'

const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const

const flags = {
  port: { type: 'string', default: '8080' },
  host: { type: 'string', default: '127.0.0.1' },
  file: { type: 'string' },
  detach: { type: 'boolean', default: false },
  'cache-dir': { type: 'string' },
  backend: { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
  /** Not for people: the background half of `--detach`. */
  supervised: { type: 'boolean', default: false },
} as const

const usage = [
  'npm start -- [flags]',
  '  --port <number>        where clients reach the API (8080)',
  '  --host <address>       127.0.0.1 serves this machine only, 0.0.0.0 its network',
  '  --file <path>          resources: a YAML file or a folder of them (examples/local.yaml)',
  '  --backend <name>       cuda or vulkan: installs its engine library, which auto then prefers',
  '  --detach               return once it answers; npm stop ends it',
  '  --cache-dir <folder>   models, tools and the state of instances',
  '  --log-level <level>    trace, debug, info, warn or error',
]

export async function up(args: readonly string[], given: Context): Promise<number> {
  const values = parseFlags('up', args, flags)
  if (values.help) {
    for (const line of usage) given.terminal.line(line)
    return 0
  }
  const context = withCacheDir(given, values['cache-dir'])
  const options = {
    port: parsePort('--port', values.port),
    host: values.host,
    resources: resourcesAt(values.file ?? resolve(context.config.root, 'examples', 'local.yaml')),
    logLevel: parseChoice('--log-level', values['log-level'], logLevels),
    detached: values.supervised,
  }
  if (values.backend !== undefined) await ensureBackend(parseChoice('--backend', values.backend, backends), context)
  return values.detach && !values.supervised
    ? startDetached(args, instancePaths(context, options.port), context)
    : serve(options, context)
}

type Options = Pick<LocalSettings, 'port' | 'host' | 'resources' | 'logLevel'> & { readonly detached: boolean }

async function serve(options: Options, context: Context): Promise<number> {
  const { terminal, interrupts } = context
  const paths = instancePaths(context, options.port)
  assertNoInstance(paths)
  const { apiKeys } = await resourcesIn(options.resources)
  await assertPortFree(options.host, options.port)
  const settings = await settingsFor(options, context)
  const record = recordOf(options, settings)
  claimInstance(paths, record)
  const platform = new LocalPlatform(context, paths, settings, record)
  try {
    terminal.progress('starting nats-server, operator and router')
    await platform.start()
    const news = new News(terminal)
    const served = await waitReady(platform, news, apiKeys[0]?.stringData.key ?? null, context)
    platform.ready()
    for (const line of invitation(settings, served, options.detached)) terminal.line(line)
    if (options.detached) interrupts.outliveStarter()
    await watchInstance(platform, news, context)
  } finally {
    if (interrupts.first.aborted) terminal.line('draining; Ctrl-C once more ends at once')
    await platform.stop(interrupts.second)
    releaseInstance(paths)
    if (interrupts.first.aborted) terminal.line('ended; nothing is left running')
  }
  return 0
}

async function settingsFor(options: Options, context: Context): Promise<LocalSettings> {
  const [server, ports] = await Promise.all([findTool(natsServer, context), freePorts(3)])
  const [natsPort = 0, natsMonitorPort = 0, operatorPort = 0] = ports
  const reachable = options.host === '0.0.0.0' || options.host === '::' ? '127.0.0.1' : options.host
  return {
    ...options,
    config: context.config,
    natsServer: server.path,
    url: `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${options.port}`,
    natsPort,
    natsMonitorPort,
    operatorPort,
    passwords: { operator: randomPassword(), router: randomPassword(), worker: randomPassword() },
  }
}

function recordOf(options: Options, settings: LocalSettings): InstanceRecord {
  const owner = identify(process.pid)
  if (owner === null) throw new Failure('aborted', `this process (${process.pid}) cannot be found in the process table`)
  return {
    version,
    owner,
    phase: 'starting',
    detached: options.detached,
    url: settings.url,
    operatorUrl: `http://127.0.0.1:${settings.operatorPort}`,
    natsUrl: natsUrl(settings),
    natsMonitorUrl: `http://127.0.0.1:${settings.natsMonitorPort}`,
    resources: settings.resources,
    processes: { nats: null, natsGuard: null, operator: null, router: null },
    workers: [],
  }
}

/** Exactly what a person pastes next. */
function invitation(settings: LocalSettings, served: readonly Served[], detached: boolean): string[] {
  const first = served[0]
  if (first === undefined) return []
  const chat = first.endpoint === 'chat'
  const body = chat
    ? { model: first.name, messages: [{ role: 'user', content: 'Say hello in one short sentence.' }] }
    : { model: first.name, input: 'Say hello in one short sentence.' }
  const path = chat ? '/v1/chat/completions' : '/v1/embeddings'
  const key = first.needsKey ? ` -H 'authorization: Bearer <your key>'` : ''
  const end = settings.port === 8080 ? '' : ` -- --port ${settings.port}`
  return [
    '',
    `Paceline serves ${served.map((one) => one.name).join(', ')} at ${settings.url}`,
    'Try it:',
    `  curl ${settings.url}${path} -H 'content-type: application/json'${key} -d '${JSON.stringify(body)}'`,
    detached ? `npm stop${end} ends it, npm run status${end} shows it.` : 'Ctrl-C drains and ends everything.',
  ]
}

function resourcesAt(path: string): string {
  const absolute = resolve(path)
  if (existsSync(absolute)) return absolute
  throw new Failure('invalid-configuration', `--file: there is no file or folder ${absolute}`)
}

export function withCacheDir(context: Context, cacheDir: string | undefined): Context {
  return cacheDir === undefined ? context : { ...context, config: { ...context.config, cacheDir: resolve(cacheDir) } }
}
