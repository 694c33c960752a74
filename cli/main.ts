/**
 * `paceline <verb>`: finds the verb, gives it the machine, turns its end into an exit code.
 *
 * A `Failure`, or a refusal of the operating system, is one line and exit code 1; anything else is a bug and keeps its stack.
 */
import { Failure } from '#contracts/failure.ts'
import { systemClock } from '#runtime/clock.ts'
import { readCliConfig } from './config.ts'
import type { Verb } from './context.ts'
import { relayedTerminal } from './detach.ts'
import { watchInterrupts } from './interrupts.ts'
import { createTerminal, type Terminal } from './terminal.ts'

const verbs: Readonly<Record<string, { help: string; load(): Promise<Verb> }>> = {
  up: { help: 'start everything and serve (npm start)', load: async () => (await import('./up.ts')).up },
  down: { help: 'end a detached instance (npm stop)', load: async () => (await import('./down.ts')).down },
  plan: { help: 'say what a change of a resource file would do', load: async () => (await import('./plan.ts')).plan },
  status: { help: 'pairs, workers and conditions', load: async () => (await import('./status.ts')).status },
  fetch: {
    help: 'bring the models of a resource file into the cache',
    load: async () => (await import('./fetch.ts')).fetch,
  },
  test: { help: 'set up and run every test (npm test)', load: async () => (await import('./test.ts')).test },
  check: { help: 'format, lint, types, unit and tidy tests', load: async () => (await import('./check.ts')).check },
  format: { help: 'format the whole tree', load: async () => (await import('./check.ts')).format },
  generate: { help: 'write everything that is generated', load: async () => (await import('./generate.ts')).generate },
  images: {
    help: 'print or run what builds the container images',
    load: async () => (await import('./images.ts')).images,
  },
  calibrate: {
    help: 'make what helps to serve a model: calibrate acceptance, gate, risk, trigram',
    load: async () => (await import('./calibrate.ts')).calibrate,
  },
  traffic: {
    help: 'what routers keep to calibrate with: traffic [purge]',
    load: async () => (await import('./traffic.ts')).traffic,
  },
  bench: { help: 'measure: bench <name> [flags]', load: async () => (await import('./bench.ts')).bench },
  soak: { help: 'run long: soak <name> [flags]', load: async () => (await import('./bench.ts')).soak },
}

// Timers of the clock never keep a process alive; a verb that only waits still has to be waited for.
const keepAlive = setInterval(() => undefined, 2 ** 30)
const terminal = terminalFor(process.argv)
process.exitCode = await main(process.argv.slice(2))
clearInterval(keepAlive)
if (process.connected) process.disconnect()

async function main([name, ...args]: string[]): Promise<number> {
  const verb = name === undefined ? undefined : Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb === undefined) return explain(name)
  const config = readCliConfig(process.env, process.platform)
  const interrupts = watchInterrupts(systemClock)
  try {
    const run = await verb.load()
    return await run(args, { config, clock: systemClock, terminal, interrupts, random: Math.random })
  } catch (error) {
    // What an interrupted wait throws is only the reason of the interrupt.
    if (interrupts.first.aborted) return 130
    if (!(error instanceof Failure) && !isOfTheSystem(error)) throw error
    const isFull = 'code' in error && error.code === 'ENOSPC'
    terminal.error(
      `paceline: ${error.message}${isFull ? '; free some space, or choose another place with --cache-dir' : ''}`,
    )
    return 1
  }
}

/** A full disk, a missing right: the message names the file and what was tried, and the stack would say nothing more. */
function isOfTheSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

function terminalFor(args: readonly string[]): Terminal {
  const own = createTerminal(process.stdout, process.stderr, systemClock)
  const inBackground = args.includes('--supervised') && process.send !== undefined
  return inBackground ? relayedTerminal(own, (message) => process.send?.(message)) : own
}

function explain(name: string | undefined): number {
  const asked = name === undefined || name === 'help' || name === '--help'
  if (!asked) terminal.error(`paceline: unknown command "${name}"; known are ${Object.keys(verbs).join(', ')}`)
  else for (const [verb, { help }] of Object.entries(verbs)) terminal.line(`paceline ${verb.padEnd(10)} ${help}`)
  return asked ? 0 : 1
}
