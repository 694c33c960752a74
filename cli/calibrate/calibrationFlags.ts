/** What the verbs of `paceline calibrate` have in common: numbers on the command line, and models opened for calibration alone. */
import { resolve } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { ModelDeploymentSpec, ModelFile } from '#contracts/resources/modelDeployment.ts'
import { silentLog } from '#runtime/log.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import type { Context } from '../context.ts'
import { resourcesIn } from '../models.ts'

/** Room for a seed prompt and its template. */
export const seedPromptTokensMax = 128

export interface Range {
  readonly least: number
  readonly most: number
  readonly fraction?: boolean
}

export function parseNumber(flag: string, text: unknown, { least, most, fraction = false }: Range): number {
  const value = Number(text)
  if (text !== '' && value >= least && value <= most && (fraction || Number.isInteger(value))) return value
  const kind = fraction ? 'a number' : 'a whole number'
  throw new Failure(
    'invalid-configuration',
    `--${flag} must be ${kind} from ${least} to ${most}, not "${String(text)}"`,
  )
}

export interface NamedPair {
  readonly spec: ModelDeploymentSpec & { readonly target: ModelFile }
}

/** The pair that `--file` and `--deployment` mean; the first one, where nothing is said. */
export async function pairOf(
  verb: string,
  flags: { readonly file?: string; readonly deployment?: string },
  context: Context,
): Promise<NamedPair> {
  const { deployments } = await resourcesIn(resolve(flags.file ?? `${context.config.root}/examples/local.yaml`))
  const chosen = deployments.find(({ metadata }) => metadata.name === (flags.deployment ?? metadata.name))
  const target = chosen?.spec.target
  if (chosen !== undefined && target !== undefined) return { spec: { ...chosen.spec, target } }
  const names = deployments.map(({ metadata }) => metadata.name).join(', ')
  throw new Failure('invalid-configuration', `${verb}: no such deployment with a model file among ${names}`)
}

export function openRunner(
  modelPath: string,
  { clock }: Context,
  shape: { slots: number; contextTokensMax: number; threads: number },
): Promise<ModelRunner> {
  return createLlamaRunner({
    ...shape,
    modelPath,
    kvCacheType: 'auto',
    kvLayout: 'split',
    backend: 'auto',
    embeddings: false,
    host: { platform: process.platform, arch: process.arch },
    clock,
    log: silentLog,
  })
}
