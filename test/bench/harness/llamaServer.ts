/**
 * llama-server as a peer: the binary that `LLAMA_SERVER` names, with the same model, threads, context and KV type as ours.
 *
 * `cache_prompt: false` goes with every request (and our prefix cache is off in the same comparison): both compute every prompt.
 */
import { join } from 'node:path'
import { type Child, freePort, startChild, untilReady } from './child.ts'
import type { Target } from './client.ts'

export interface EngineSettings {
  readonly modelPath: string
  readonly threads: number
  readonly slots: number
  readonly contextTokensMax: number
  readonly kvCacheType: 'f16' | 'q8_0'
  readonly logFolder: string
}

export interface Peer {
  readonly target: Target
  readonly child: Child
}

export const llamaServerPath = (): string | null => process.env['LLAMA_SERVER'] ?? null

/** `flags`: further words of the command line, such as `--spec-type ngram-simple`. */
export async function startLlamaServer(
  binary: string,
  settings: EngineSettings,
  { name = 'llama-server', flags = [] }: { name?: string; flags?: readonly string[] } = {},
): Promise<Peer> {
  const port = await freePort()
  const child = startChild({
    name: 'llama-server',
    command: binary,
    args: [...argumentsOf(port, settings), ...flags],
    logFile: join(settings.logFolder, `llama-server-${port}.log`),
  })
  const url = `http://127.0.0.1:${port}`
  await untilReady(child, async () => (await fetch(`${url}/health`)).ok, 60_000)
  return { child, target: { name, url, model: 'peer', extra: { cache_prompt: false } } }
}

function argumentsOf(port: number, settings: EngineSettings): string[] {
  const { slots, threads, kvCacheType } = settings
  const words =
    `--host 127.0.0.1 --port ${port} -np ${slots} -c ${slots * settings.contextTokensMax} -t ${threads} -tb ${threads} ` +
    `-fa on -ctk ${kvCacheType} -ctv ${kvCacheType} --no-webui -lv 1`
  return ['-m', settings.modelPath, ...words.split(' ')]
}
