/**
 * The sides of the router bench: the mock alone, the thin express proxy before it, and Paceline's router with simulated workers.
 *
 * The gateway has processor 1 for itself; mock, client, broker and workers share processor 0. Answers have equal size on all
 * sides. Workers answer at once (one message holds the whole answer) or at the mock's pace.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from './cacheFolder.ts'
import { type Child, startChild, untilReady } from './child.ts'
import type { Target } from './client.ts'
import { projectFolder } from './machine.ts'
import { startPlatform } from './platform.ts'
import type { LoadFigures } from './routerSections.ts'
import { streamsFromWorker } from './workerStreams.ts'

export interface Gateway {
  readonly name: string
  /** Requests that are answered at once. */
  readonly instant: Target
  /** Streams of one token each `paceMs`. */
  readonly paced: Target
  /** The same streams taken from the workers themselves, where there are any: their own timing is not the router's. */
  readonly withoutGateway?: (streams: number, tokens: number) => Promise<LoadFigures>
  /** `gateway` is the process that counts; the others are reported beside it. */
  readonly pids: Readonly<Record<string, readonly number[]>>
  stop(): Promise<void>
}

export const paceMs = 20
const apiKey = 'a-key-for-measuring-only'
const headers = { authorization: `Bearer ${apiKey}` }
const pin = { router: [1], rest: [0] } as const

export async function startMock(): Promise<Gateway> {
  const { child, url } = await startProxy('mock.ts', {}, pin.rest)
  const target = { name: 'direct', url, model: 'mock', headers }
  return { name: 'direct', instant: target, paced: target, pids: { upstream: [child.pid] }, stop: () => child.stop() }
}

export async function startExpress(mock: Gateway): Promise<Gateway> {
  const { child, url } = await startProxy('express.ts', { UPSTREAMS: mock.instant.url, API_KEY: apiKey }, pin.router)
  const target = { name: 'express', url, model: 'mock', headers }
  const pids = { gateway: [child.pid], ...mock.pids }
  return { name: 'thin express', instant: target, paced: target, pids, stop: () => child.stop() }
}

export async function startPacelineGateway(profileFolder: string | null): Promise<Gateway> {
  // Bytes are this engine's tokens: whole prompts in one step, or chunking would be what is measured.
  const engine = {
    kind: 'simulated',
    contextTokensMax: 4_096,
    promptChunkTokensMax: 4_096,
    prefixCacheMiB: 0,
  }
  const quick = { promptTokensPerSecond: 1e9, rowMs: 0 }
  const instant = { ...quick, stepMs: 0, draftTokens: 64, acceptance: 1 }
  const platform = await startPlatform({
    name: 'bench-router',
    deployments: [
      { name: 'instant', spec: { engine: { ...engine, slots: 64, simulated: instant } } },
      { name: 'paced', spec: { engine: { ...engine, slots: 256, simulated: { ...quick, stepMs: paceMs } } } },
    ],
    pin,
    apiKeys: { [apiKey]: 'bench' },
    ...(profileFolder === null
      ? {}
      : { nodeFlags: { router: profiled(profileFolder, 'router'), worker: profiled(profileFolder, 'worker') } }),
  })
  const target = (model: string): Target => ({ name: 'paceline', url: platform.url, model, headers })
  return {
    name: 'paceline',
    instant: target('instant'),
    paced: target('paced'),
    withoutGateway: (streams, tokens) => streamsFromWorker(platform, 'paced', { streams, tokens }),
    pids: {
      gateway: [platform.router.pid],
      broker: [platform.nats.pid],
      worker: platform.workers.map((worker) => worker.child.pid),
    },
    stop: () => platform.stop(),
  }
}

const profiled = (folder: string, part: string): string[] => ['--cpu-prof', `--cpu-prof-dir=${join(folder, part)}`]

async function startProxy(
  file: string,
  env: Readonly<Record<string, string>>,
  processors: readonly number[],
): Promise<{ child: Child; url: string }> {
  const logFile = join(scratchFolder('bench-proxy'), 'proxy.log')
  const child = startChild({
    name: file,
    command: process.execPath,
    args: [join(projectFolder, 'test', 'bench', 'proxies', file)],
    env: { NODE_ENV: 'production', ...env },
    logFile,
    pin: processors,
  })
  const portOf = () => Number(/^\d+/m.exec(readFileSync(logFile, 'utf8'))?.[0] ?? 0)
  await untilReady(child, () => Promise.resolve(portOf() > 0), 10_000)
  return { child, url: `http://127.0.0.1:${portOf()}` }
}
