/**
 * The router's settings: JSON in `PACELINE_ROUTER`, then single variables on top, then the schema. The only reader of the environment.
 *
 * All mistakes are reported at once, unknown keys and unknown variables of ours are refused, the result is frozen. A bad value stops
 * the start; it never turns into a default.
 */
import { Failure } from '#contracts/failure.ts'
import { RouterConfig, routerConfigVariable } from '#contracts/routerConfig.ts'
import { natsAuthorityVariable, natsPasswordVariable } from '#contracts/workerConfig.ts'
import { readTracing, type TracingSettings, tracingVariables } from './tracingSettings.ts'

export interface Settings {
  readonly config: RouterConfig
  /** Of traces, what may be secret or is of the process. */
  readonly tracing: TracingSettings
  readonly natsPassword: string
  /** Certificate of the authority behind the NATS server's, PEM; null without TLS or where the system's authorities do. */
  readonly natsAuthority: string | null
}

/** Variable → where its value goes. Numbers and booleans are read as JSON, everything else is text. */
const variables: Readonly<Record<string, readonly string[]>> = {
  PACELINE_ROUTER_HOST: ['host'],
  PACELINE_ROUTER_PORT: ['port'],
  PACELINE_ROUTER_LOG_LEVEL: ['logLevel'],
  PACELINE_ROUTER_ACCESS_LOG: ['accessLog'],
  PACELINE_ROUTER_TRAFFIC_FOLDER: ['trafficFolder'],
  ...tracingVariables,
  PACELINE_NATS_URL: ['nats', 'url'],
  PACELINE_NATS_USER: ['nats', 'user'],
}
const jsonVariables = new Set(['PACELINE_ROUTER_PORT', 'PACELINE_ROUTER_ACCESS_LOG', 'OTEL_TRACES_SAMPLER_ARG'])

/** Throws `Failure('invalid-configuration')` that lists every mistake. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Settings {
  const value = fromJson(environment[routerConfigVariable])
  for (const [name, path] of Object.entries(variables)) {
    const text = environment[name]
    if (text !== undefined && text !== '') place(value, path, jsonVariables.has(name) ? asJson(text) : text)
  }
  const nats = value['nats'] ?? {}
  const tracing = readTracing(environment)
  if (tracing.isOff) value['tracing'] = {}
  const parsed = RouterConfig.safeParse({ ...value, nats: typeof nats === 'object' ? { user: '', ...nats } : nats })
  const mistakes = [
    ...Object.keys(environment)
      .filter((name) => name.startsWith(`${routerConfigVariable}_`) && !Object.hasOwn(variables, name))
      .map((name) => `${name}: no such setting; known are ${Object.keys(variables).join(', ')}`),
    ...tracing.mistakes,
    ...(parsed.success
      ? []
      : parsed.error.issues.map((issue) => `${issue.path.join('.') || 'value'}: ${issue.message}`)),
  ]
  if (!parsed.success || mistakes.length > 0)
    throw new Failure('invalid-configuration', `the router's settings are wrong: ${mistakes.join('; ')}`)
  return {
    config: deepFreeze(parsed.data),
    tracing: tracing.settings,
    natsPassword: environment[natsPasswordVariable] ?? '',
    natsAuthority: environment[natsAuthorityVariable] || null,
  }
}

type Fields = Record<string, unknown>

function fromJson(text: string | undefined): Fields {
  if (text === undefined || text === '') return {}
  const value = asJson(text)
  if (isFields(value)) return { ...value }
  throw new Failure('invalid-configuration', `${routerConfigVariable} is not a JSON object`)
}

/** What is no JSON stays text, and the schema says what is wrong with it. */
function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function place(into: Fields, [head, ...rest]: readonly string[], value: unknown): void {
  if (head === undefined) return
  if (rest.length === 0) {
    into[head] = value
    return
  }
  const inner = into[head]
  const copy = isFields(inner) ? { ...inner } : {}
  place(copy, rest, value)
  into[head] = copy
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  return Object.freeze(value)
}
