/**
 * How every program ends: the first SIGTERM or SIGINT drains, the second one stops at once, and so does a bug.
 *
 * Where `PACELINE_PARENT_PIPE=1` the process also ends when its standard input ends: whoever started it is gone, and a child
 * that outlives its parent would hold memory and ports that nobody knows of.
 */
import { endEarly } from './endEarly.ts'
import type { Log } from './log.ts'

export const parentPipeVariable = 'PACELINE_PARENT_PIPE'

export function onShutdown(log: Log, stop: (reason: string) => Promise<void>): void {
  let stopping = false
  const begin = (reason: string) => {
    if (stopping) {
      log.warn({ reason }, 'stopping at once, without draining')
      process.exit(130)
    }
    stopping = true
    log.info({ reason }, 'draining')
    stop(reason).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, 'draining failed')
        process.exit(1)
      },
    )
  }
  const hasParent = process.env[parentPipeVariable] === '1'
  // In this order: without any listener in between, a signal that came during the loading and waits for its turn would be dropped.
  process.on('SIGTERM', () => begin('SIGTERM'))
  process.off('SIGTERM', endEarly)
  // Ctrl-C reaches the whole process group; a child waits for its parent's word, so that the order of draining is kept.
  process.on('SIGINT', () => (hasParent ? undefined : begin('SIGINT')))
  if (hasParent) watchParent(() => (stopping ? undefined : begin('parent gone')))
  process.on('uncaughtException', (error) => {
    log.error({ error }, 'bug: uncaught exception; ending so that a clean process takes over')
    process.exit(70)
  })
}

function watchParent(onGone: () => void): void {
  process.stdin.on('end', onGone)
  process.stdin.on('error', onGone)
  process.stdin.resume()
  process.stdin.unref?.()
}
