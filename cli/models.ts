/**
 * Model files for somebody at the command line: the operator's own store, with progress on the terminal.
 */
import { Failure } from '#contracts/failure.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import { delay } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { readFiles } from '../operator/local/resourceFiles.ts'
import { readResources, type Resources } from '../operator/local/resources.ts'
import { openModelStore } from '../operator/models/store.ts'
import type { Context } from './context.ts'

const pollMs = 50

/** Throws a Failure that names every mistake in the files. */
export async function resourcesIn(path: string): Promise<Resources> {
  const result = readResources(await readFiles(path))
  if (result.kind === 'read') return result.resources
  throw new Failure('invalid-configuration', result.problems.join('\n  '))
}

/** The verified file's path. Throws a Failure that says what was tried where no source gives the content. */
export async function obtainModel(file: ModelFile, context: Context): Promise<string> {
  const { clock, terminal, interrupts, config } = context
  const store = await openModelStore({
    cacheDir: config.cacheDir,
    settings: {
      huggingFaceEndpoint: config.environment['HF_ENDPOINT'] ?? 'https://huggingface.co',
      huggingFaceToken: config.environment['HF_TOKEN'] ?? null,
    },
    offline: false,
    clock,
    random: context.random,
    pid: process.pid,
    log: silentLog,
    onFetched: () => undefined,
    onFreshBytes: () => undefined,
  })
  try {
    void store.fetch(file)
    for (;;) {
      const state = store.stateOf(file)
      if (state.kind === 'ready') return state.path
      if (state.kind === 'failed') throw new Failure('download-failed', state.message)
      if (state.kind === 'fetching') terminal.progress(describe(state))
      await delay(clock, pollMs, interrupts.first)
    }
  } finally {
    await store.close()
  }
}

function describe(state: { activity: string; bytes: number; bytesTotal: number | null }): string {
  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)
  if (state.bytes === 0) return state.activity
  const total = state.bytesTotal === null ? '' : ` of ${mib(state.bytesTotal)}`
  return `${state.activity}: ${mib(state.bytes)}${total} MiB`
}
