/**
 * What the environment tells this worker. The only reader of it; every mistake is reported at once, and a bad value stops the
 * start. The effective values are printed with the password masked.
 */
import { Failure } from '#contracts/failure.ts'
import {
  natsAuthorityVariable,
  natsPasswordVariable,
  WorkerConfig,
  workerConfigVariable,
} from '#contracts/workerConfig.ts'

export interface WorkerSettings {
  readonly config: WorkerConfig
  readonly natsPassword: string
  /** Certificate of the authority behind the NATS server's, PEM; null without TLS or where the system's authorities do. */
  readonly natsAuthority: string | null
}

/** Throws `Failure('invalid-configuration')` that lists everything that is wrong. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): WorkerSettings {
  const mistakes: string[] = []
  const config = parseConfig(environment[workerConfigVariable], mistakes)
  const natsPassword = environment[natsPasswordVariable]
  if (natsPassword === undefined) mistakes.push(`${natsPasswordVariable} is not set (empty is allowed)`)
  if (config?.engine.kind === 'llamacpp' && config.modelPath === null)
    mistakes.push(`${workerConfigVariable}.modelPath: required unless engine.kind is simulated`)
  if (mistakes.length > 0 || config === null || natsPassword === undefined)
    throw new Failure('invalid-configuration', `the worker cannot start:\n  ${mistakes.join('\n  ')}`)
  const natsAuthority = environment[natsAuthorityVariable] || null
  return Object.freeze({ config: Object.freeze(config), natsPassword, natsAuthority })
}

function parseConfig(json: string | undefined, mistakes: string[]): WorkerConfig | null {
  if (json === undefined) {
    mistakes.push(`${workerConfigVariable} is not set: it holds the worker's configuration as JSON`)
    return null
  }
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    mistakes.push(`${workerConfigVariable} is not JSON: ${String(error)}`)
    return null
  }
  const result = WorkerConfig.safeParse(value)
  if (result.success) return result.data
  for (const { path, message } of result.error.issues)
    mistakes.push(`${[workerConfigVariable, ...path].join('.')}: ${message}`)
  return null
}

/** For the log at start. */
export function printable({ config, natsPassword }: WorkerSettings): Record<string, unknown> {
  return { ...config, natsPassword: natsPassword === '' ? '(empty)' : '***' }
}
