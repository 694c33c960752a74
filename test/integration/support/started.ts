/**
 * `npm start` as a person has it: `cli/bootstrap.mjs` as a process of its own, with a cache of its own and its words kept.
 *
 * Whoever starts one calls `dispose`; what is then still running of it is a failure of the test that left it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { natsServer } from '../../../cli/tools/natsServer.ts'
import { root } from '../../tidy/tree.ts'
import { findNatsServer } from './natsServer.ts'

export { freePort } from './natsServer.ts'

const pollMs = 20

export const simulated = (name: string, more = '') => `
apiVersion: paceline.dev/v1alpha1
kind: ModelDeployment
metadata: { name: ${name} }
spec:
  engine: { kind: simulated, slots: 4, contextTokensMax: 128, simulated: { stepMs: 5, promptTokensPerSecond: 100000 } }
  ${more}
`

/** A ModelRoute of the same name as the model name that it stands for. */
export const route = (name: string, strategy: string) => `
apiVersion: paceline.dev/v1alpha1
kind: ModelRoute
metadata: { name: ${name} }
spec:
  name: ${name}
  ${strategy}
`

/** One folder that stands for a fresh user: an empty cache but for nats-server, resource files, a free port. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'paceline-start-'))
  readonly cacheDir = join(this.folder, 'cache')

  constructor() {
    const program = findNatsServer()
    if (program === null) throw new Error('no nats-server; npm test gets one')
    const tools = join(this.cacheDir, 'tools', natsServer.folder)
    mkdirSync(tools, { recursive: true })
    symlinkSync(program, join(tools, 'nats-server'))
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, text)
    return path
  }

  writeBytes(name: string, bytes: Uint8Array): string {
    const path = join(this.folder, name)
    writeFileSync(path, bytes)
    return path
  }

  run(...args: readonly string[]): Run {
    return this.runWith({}, ...args)
  }

  runWith(environment: Readonly<Record<string, string>>, ...args: readonly string[]): Run {
    return new Run(process.execPath, [join(root, 'cli', 'bootstrap.mjs'), ...args], this.#environment(environment))
  }

  /** `npm start`, typed by a person. */
  npmStart(...args: readonly string[]): Run {
    return new Run('npm', ['start', '--silent', '--', ...args], this.#environment({}))
  }

  #environment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
    // Under `npm test` these name the outer npm's script.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
    return { ...Object.fromEntries(inherited), PACELINE_CACHE: this.cacheDir, ...more }
  }

  /** Every process that was started with this cache, by what its environment says. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid && mentions(pid, this.cacheDir))
  }

  /** Waits until none is left; the pids of those that stay. */
  async leftovers(waitMs = 5_000): Promise<string[]> {
    for (let waited = 0; waited < waitMs && this.processes().length > 0; waited += pollMs) await sleep(pollMs)
    return this.processes().map((pid) => `${pid} ${commandOf(pid)}`)
  }

  async dispose(): Promise<void> {
    for (const pid of this.processes()) killHard(pid)
    await this.leftovers()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class Run {
  readonly child: ChildProcess
  output = ''
  #code: Promise<number | null>

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      this.output += chunk.toString()
    }
    this.child.stdout?.on('data', keep)
    this.child.stderr?.on('data', keep)
    const { promise, resolve } = Promise.withResolvers<number | null>()
    this.child.once('close', (code) => resolve(code))
    this.#code = promise
  }

  /** Resolves once the output holds `text`; fails with the output when the process ends or `waitMs` pass before. */
  async says(text: string | RegExp, waitMs = 90_000): Promise<void> {
    const found = () => (typeof text === 'string' ? this.output.includes(text) : text.test(this.output))
    for (let waited = 0; !found(); waited += pollMs) {
      if (this.child.exitCode !== null || waited > waitMs)
        throw new Error(`it never said ${String(text)}:\n${this.output}`)
      await sleep(pollMs)
    }
  }

  ended(): Promise<number | null> {
    return this.#code
  }
}

/** As a shell would run it. */
export function shell(command: string): { code: number | null; output: string } {
  const { status, stdout } = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8' })
  return { code: status, output: stdout }
}

export function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already, which is what was wanted.
  }
}

function mentions(pid: number, text: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(text)
  } catch {
    // Ended in the meantime, or not ours.
    return false
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return 'gone'
  }
}
