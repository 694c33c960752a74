/**
 * What a worker has of its pair's experts: the adapters that its engine takes, those that it refuses and why, and the pre-gate.
 *
 * Each adapter is loaded once before the worker is ready, because only the engine knows whether it fits; as many stay as there is
 * room for. One that is refused, or a gate that cannot be used, ends nothing: the worker goes on without it and says so.
 */
import { readFile, stat } from 'node:fs/promises'
import { type PreGateFile, readPreGate } from '#algorithms/preGate/gateFile.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ExpertRefusal } from '#contracts/records.ts'
import { baseExpert } from '#contracts/resources/modelDeployment.ts'
import type { WorkerConfig } from '#contracts/workerConfig.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { AdapterRefused } from './expertPort.ts'
import type { ModelRunner } from './modelRunner.ts'
import { simulatedAdapterBytes } from './simulated/experts.ts'
import { tokenizerDigest } from './trigramTableFile.ts'

export interface ExpertFile {
  readonly name: string
  /** Empty for the simulated engine, which reads none. */
  readonly path: string
  readonly bytes: number
}

export interface OpenGate {
  readonly file: PreGateFile
  /** As routers name it. */
  readonly sha256: string
}

export interface ExpertSupplies {
  readonly files: readonly ExpertFile[]
  readonly refused: readonly ExpertRefusal[]
  readonly gate: OpenGate | null
  /** What adapters may take in memory together. */
  readonly bytesMax: number
  /** What loading each of them took at the start. */
  readonly loadsMs: readonly number[]
}

export const noExperts: ExpertSupplies = { files: [], refused: [], gate: null, bytesMax: 0, loadsMs: [] }

type ExpertConfig = Pick<WorkerConfig, 'experts' | 'expertBytesMax' | 'gatePath' | 'gateSha256'>

export async function openExperts(
  config: ExpertConfig,
  { runner, clock, log }: { readonly runner: ModelRunner; readonly clock: Clock; readonly log: Log },
): Promise<ExpertSupplies> {
  const files: ExpertFile[] = []
  const refused: ExpertRefusal[] = []
  const loadsMs: number[] = []
  for (const { name, path } of config.experts) {
    try {
      const startedAt = clock.now()
      files.push(await tried({ name, path: path ?? '' }, config.expertBytesMax, runner))
      loadsMs.push(clock.now() - startedAt)
    } catch (error) {
      if (!(error instanceof AdapterRefused)) throw error
      log.error({ expert: name, reason: error.reason, error }, 'an expert is refused: requests that name it fail')
      refused.push({ expert: name, reason: error.reason, message: error.message })
    }
  }
  const gate = await openGate(config, runner)
  if (gate instanceof Failure) {
    log.error({ error: gate }, 'the gate cannot be used: requests that name no expert get none')
    refused.push({ expert: null, reason: 'GateUnusable', message: gate.message })
  }
  return { files, refused, gate: gate instanceof Failure ? null : gate, bytesMax: config.expertBytesMax, loadsMs }
}

/** Loaded once; it stays where there is room beside those that stayed before it. */
async function tried(
  { name, path }: Omit<ExpertFile, 'bytes'>,
  bytesMax: number,
  { experts }: Pick<ModelRunner, 'experts'>,
): Promise<ExpertFile> {
  const file = { name, path, bytes: await bytesOf(path) }
  if (file.bytes > bytesMax) throw tooLarge(file, bytesMax)
  const before = [...experts.loaded.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  await loaded(file, { experts })
  if (before + file.bytes > bytesMax) experts.unload(name)
  return file
}

async function loaded({ name, path }: ExpertFile, { experts }: Pick<ModelRunner, 'experts'>): Promise<void> {
  try {
    await experts.load(name, path)
  } catch (error) {
    if (!(error instanceof Failure) || error instanceof AdapterRefused) throw error
    throw new AdapterRefused('NoAdapter', error.message, { cause: error })
  }
}

async function bytesOf(path: string): Promise<number> {
  if (path === '') return simulatedAdapterBytes
  try {
    return (await stat(path)).size
  } catch (cause) {
    throw new AdapterRefused('NoAdapter', `the adapter ${path} cannot be read: ${String(cause)}`, { cause })
  }
}

export const tooLarge = ({ path, bytes }: ExpertFile, bytesMax: number) =>
  new AdapterRefused(
    'TooLarge',
    `the adapter ${path} takes ${bytes} bytes and all experts together may take ${bytesMax}: raise spec.expertMemoryMiB`,
  )

async function openGate(
  { gatePath, gateSha256, experts }: ExpertConfig,
  runner: ModelRunner,
): Promise<OpenGate | Failure | null> {
  if (gatePath === null || gateSha256 === null) return null
  try {
    const file = readPreGate(await gateBytes(gatePath), { tokenizer: tokenizerDigest(runner) })
    const known = new Set([baseExpert, ...experts.map(({ name }) => name)])
    const strangers = file.experts.filter((name) => !known.has(name))
    if (strangers.length === 0) return { file, sha256: gateSha256 }
    const message = `the pre-gate chooses between experts that the pair does not have: ${strangers.join(', ')}; add them to spec.experts or train it anew`
    return new Failure('invalid-configuration', message)
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
}

async function gateBytes(path: string): Promise<ArrayBuffer> {
  try {
    const { size } = await stat(path)
    const bytesMax = limits.experts.gateBytesMax * 2
    if (size > bytesMax) throw new Error(`${size} bytes, over ${bytesMax}`)
    return new Uint8Array(await readFile(path)).buffer
  } catch (cause) {
    throw new Failure('invalid-configuration', `the pre-gate ${path} cannot be read: ${String(cause)}`, { cause })
  }
}
