/**
 * node-llama-cpp as a peer. It is not a dependency of this project: the measurement installs it into the cache folder on demand.
 *
 * It is a library, not a server, so `nodeLlamaCppServer.ts` puts the thinnest HTTP around it: what is compared is the engine
 * and its batching, not a web framework.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startChild, untilReady } from './child.ts'
import { projectFolder } from './machine.ts'
import type { EngineSettings, Peer } from './llamaServer.ts'

const version = '3.22.1'

/** The folder whose node_modules holds the package; null with the reason printed where it cannot be installed. */
export function installNodeLlamaCpp(cacheFolder: string): string | null {
  const folder = join(cacheFolder, `node-llama-cpp-${version}`)
  if (existsSync(join(folder, 'node_modules', 'node-llama-cpp', 'package.json'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n')
  try {
    execFileSync(
      'npm',
      ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', `node-llama-cpp@${version}`],
      { stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 },
    )
    return folder
  } catch (error) {
    process.stdout.write(`node-llama-cpp ${version} could not be installed: ${String(error)}\n`)
    return null
  }
}

export async function startNodeLlamaCpp(folder: string, settings: EngineSettings): Promise<Peer> {
  const port = await freePort()
  const { modelPath, threads, slots, contextTokensMax, kvCacheType } = settings
  const child = startChild({
    name: 'node-llama-cpp',
    command: process.execPath,
    args: [join(projectFolder, 'test', 'bench', 'harness', 'nodeLlamaCppServer.ts')],
    env: { PEER_OPTIONS: JSON.stringify({ folder, port, modelPath, threads, slots, contextTokensMax, kvCacheType }) },
    logFile: join(settings.logFolder, `node-llama-cpp-${port}.log`),
  })
  const url = `http://127.0.0.1:${port}`
  await untilReady(child, async () => (await fetch(`${url}/health`)).ok, 60_000)
  return { child, target: { name: 'node-llama-cpp', url, model: 'peer' } }
}
