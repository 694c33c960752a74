/**
 * `paceline down` (`npm stop`): drains and ends an instance, detached or not. Nothing there is fine too.
 */
import { limits } from '#contracts/limits.ts'
import { delay } from '#runtime/clock.ts'
import { chosenInstance } from './chosenInstance.ts'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { isAlive, type ProcessIdentity, signalProcess } from './local/identity.ts'
import { readInstance, removeLeftovers } from './local/instance.ts'
import { withCacheDir } from './up.ts'

const pollMs = 50
/** Router and operator drain one after the other, each with its own grace; then the broker. */
const waitMsMax = 2 * limits.drain.graceMs + 4 * limits.local.killAfterGraceMs

export async function down(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('down', args, { port: { type: 'string' }, 'cache-dir': { type: 'string' } })
  const context = withCacheDir(given, flags['cache-dir'])
  const { port, paths } = chosenInstance(flags.port, context)
  const record = readInstance(paths)
  if (record === null) {
    context.terminal.line(`nothing runs on port ${port}`)
    return 0
  }
  if (!isAlive(record.owner)) {
    removeLeftovers(paths)
    context.terminal.line(`the instance on port ${port} had been killed; what it left is gone now`)
    return 0
  }
  context.terminal.progress(`draining ${record.url}`)
  process.kill(record.owner.pid, 'SIGTERM')
  if (await isGone(record.owner, context)) {
    context.terminal.line(`${record.url} is down; nothing is left running`)
    return 0
  }
  signalProcess(record.owner, 'SIGKILL')
  removeLeftovers(paths)
  context.terminal.line(`${record.url} did not drain within ${waitMsMax / 1000} s and was killed`)
  return 1
}

async function isGone(owner: ProcessIdentity, context: Context): Promise<boolean> {
  const deadline = context.clock.now() + waitMsMax
  while (isAlive(owner)) {
    if (context.clock.now() > deadline) return false
    await delay(context.clock, pollMs, context.interrupts.first)
  }
  return true
}
