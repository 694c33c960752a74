/**
 * A real nats-server for tests: loopback, ephemeral port, one user per role, JetStream in a folder of its own.
 *
 * It can be killed and started again on the same port and store, as a crash would do. Whoever starts one stops it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Role } from '#contracts/permissions.ts'
import { type Log, silentLog } from '#runtime/log.ts'
import { connectBus, type NatsBus } from '#runtime/nats.ts'
import { natsServerConfig } from '#runtime/natsServerConfig.ts'
import { freePorts } from '../../../cli/local/ports.ts'
import { natsServer as tool } from '../../../cli/tools/natsServer.ts'
import { isProgram } from '../../../cli/tools/tool.ts'
import { readCliConfig } from '../../../cli/config.ts'

export interface NatsServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly passwords: Readonly<Record<Role, string>>
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>
  /** As a machine that hangs: SIGSTOP, and SIGCONT. */
  freeze(): void
  thaw(): void
  /** Starts again on the same port with the same files. `forgetFiles`: as if its disk was lost. */
  start(options?: { forgetFiles: boolean }): Promise<void>
  connect(role: Role, options?: { name?: string; log?: Log }): Promise<NatsBus>
  /** Ends the server and removes its files. */
  stop(): Promise<void>
}

const passwords = { operator: 'operator-secret', router: 'router-secret', worker: 'worker-secret' } as const

/** The program's path: named by the environment, on PATH, or in the cache. Null where this machine has none. */
export function findNatsServer(): string | null {
  const { cacheDir, searchPath } = readCliConfig(process.env, process.platform)
  const named = process.env['PACELINE_NATS_SERVER'] ?? ''
  const cached = join(cacheDir, 'tools', tool.folder, tool.name)
  return [named, ...searchPath.map((folder) => join(folder, tool.name)), cached].find(isProgram) ?? null
}

export async function startNatsServer(program = findNatsServer()): Promise<NatsServer> {
  if (program === null) throw new Error('no nats-server on PATH; set PACELINE_NATS_SERVER')
  const folder = await mkdtemp(join(tmpdir(), 'paceline-nats-'))
  const port = await freePort()
  const storeDir = join(folder, 'store')
  const configFile = join(folder, 'nats.conf')
  await writeFile(configFile, natsServerConfig({ host: '127.0.0.1', port, storeDir, passwords }), { mode: 0o600 })
  const state: { child: ChildProcess | null } = { child: null }
  const url = `nats://127.0.0.1:${port}`

  const kill = async (signal: NodeJS.Signals) => {
    const { child } = state
    state.child = null
    if (child === null || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  const start = async ({ forgetFiles }: { forgetFiles: boolean }) => {
    if (forgetFiles) await rm(storeDir, { recursive: true, force: true })
    state.child = spawn(program, ['-c', configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
    await ready(state.child, port)
  }
  await start({ forgetFiles: false })
  return {
    url,
    port,
    passwords,
    get pid() {
      return state.child?.pid ?? 0
    },
    kill: () => kill('SIGKILL'),
    freeze: () => void state.child?.kill('SIGSTOP'),
    thaw: () => void state.child?.kill('SIGCONT'),
    start: (options = { forgetFiles: false }) => start(options),
    connect: (role, { name = role, log = silentLog } = {}) =>
      connectBus({ url, role, user: role, password: passwords[role], name, log }),
    async stop() {
      // A frozen server would not hear SIGTERM.
      await kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Resolves when the port answers; rejects with the server's own words when it ends instead. */
async function ready(child: ChildProcess, port: number): Promise<void> {
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000)
  })
  for (let attempt = 0; attempt < 500; attempt++) {
    if (child.exitCode !== null) throw new Error(`nats-server ended with ${child.exitCode}: ${words}`)
    if (await answers(port)) return
    await sleep(20)
  }
  throw new Error(`nats-server does not answer on port ${port}: ${words}`)
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    // It greets with INFO once it serves.
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })
}

/** A port that was free a moment ago; fixed, so that a restarted server is found again. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1)
  return port
}
