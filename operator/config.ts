/**
 * The operator's settings: the only reader of its environment. Every mistake is reported at once, and nothing defaults in
 * place of a bad value.
 */
import { fileURLToPath } from 'node:url'
import { Failure } from '#contracts/failure.ts'
import {
  type LocalPlatformConfig,
  OperatorConfig,
  operatorConfigVariable,
  workerNatsPasswordVariable,
} from '#contracts/operatorConfig.ts'
import { natsAuthorityVariable, natsPasswordVariable } from '#contracts/workerConfig.ts'
import type { ProcessSettings } from './local/processes.ts'
import type { SourceSettings } from './models/sources.ts'

export interface Settings {
  readonly config: OperatorConfig
  readonly natsPassword: string
  /** Certificate of the authority behind the NATS server's, PEM; workers get it too. Null without TLS. */
  readonly natsAuthority: string | null
  readonly sources: SourceSettings
  /** Only of the local platform. */
  readonly processes: ProcessSettings | null
  /** What Kubernetes tells every pod about itself. */
  readonly podEnvironment: Readonly<Record<string, string | undefined>>
}

type Environment = Readonly<Record<string, string | undefined>>

const huggingFaceTokenVariable = 'HF_TOKEN'
/** Never passed on to workers: they get their own password, and need no other. */
const secretVariables = new Set([
  operatorConfigVariable,
  natsPasswordVariable,
  workerNatsPasswordVariable,
  huggingFaceTokenVariable,
])

/** Throws `Failure('invalid-configuration')`, one line per mistake. */
export function readSettings(environment: Environment, execPath: string): Settings {
  const problems: string[] = []
  const required = (name: string) => {
    const value = environment[name]
    if (value === undefined || value === '') problems.push(`${name} is not set`)
    return value ?? ''
  }
  const natsPassword = required(natsPasswordVariable)
  const parsed = OperatorConfig.safeParse(parseJson(required(operatorConfigVariable)))
  // In a cluster workers get theirs from a Secret, and the operator does not know it.
  const workerPassword = parsed.data?.platform.kind === 'kubernetes' ? '' : required(workerNatsPasswordVariable)
  if (!parsed.success) {
    const lines = parsed.error.issues.map(
      (issue) => `${operatorConfigVariable}.${issue.path.join('.')}: ${issue.message}`,
    )
    problems.push(...lines)
  }
  if (!parsed.success || problems.length > 0) throw new Failure('invalid-configuration', problems.join('\n'))
  const config = parsed.data
  return Object.freeze({
    config,
    natsPassword,
    natsAuthority: environment[natsAuthorityVariable] || null,
    sources: {
      huggingFaceEndpoint: environment.HF_ENDPOINT || 'https://huggingface.co',
      huggingFaceToken: environment[huggingFaceTokenVariable] || null,
    },
    processes: config.platform.kind === 'local' ? processesOf(config.platform) : null,
    podEnvironment: {
      KUBERNETES_SERVICE_HOST: environment['KUBERNETES_SERVICE_HOST'],
      KUBERNETES_SERVICE_PORT: environment['KUBERNETES_SERVICE_PORT'],
    },
  })

  function processesOf(local: LocalPlatformConfig): ProcessSettings {
    return {
      node: local.node ?? execPath,
      workerMain: local.workerMain ?? fileURLToPath(new URL('../gpu-worker/main.ts', import.meta.url)),
      workerPassword,
      environment: inherited(environment),
    }
  }
}

function inherited(environment: Environment): Record<string, string> {
  const pairs = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    value === undefined || secretVariables.has(name) ? [] : [[name, value]],
  )
  return Object.fromEntries(pairs)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The schema then says that it is not an object; the text itself may hold what should not be printed.
    return text
  }
}
