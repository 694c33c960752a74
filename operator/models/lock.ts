/**
 * One process at a time for one file: several operators (or a CLI beside one) sharing a cache fetch a model once.
 *
 * The owner touches its lock while it works. Others wait until it is removed, and take it over once its process is gone or
 * it has not been touched for `lockStaleMs` (measured on the waiter's own clock, so clocks and pid reuse do not matter).
 */
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { limits } from '#contracts/limits.ts'
import { type Clock, delay } from '#runtime/clock.ts'

export interface LockOptions {
  readonly path: string
  readonly clock: Clock
  readonly pid: number
  readonly signal: AbortSignal
  /** Called at each look while another process has the lock. */
  onWait(owner: string): void
}

/** Runs `body` as the only one; the lock is gone afterwards, whatever happened. */
export async function withLock<T>(options: LockOptions, body: () => Promise<T>): Promise<T> {
  await acquire(options)
  let touched = 0
  const touch = options.clock.every(limits.fetch.lockTouchMs, () => {
    touched += 1
    // The value does not matter, only that it changes; a lost touch is made good by the next.
    utimes(options.path, touched, touched).catch(() => undefined)
  })
  try {
    return await body()
  } finally {
    touch.cancel()
    await rm(options.path, { force: true })
  }
}

async function acquire(options: LockOptions): Promise<void> {
  let seen = { version: '', since: options.clock.now() }
  while (!(await create(options))) {
    const version = await versionOf(options.path)
    if (version !== seen.version) seen = { version, since: options.clock.now() }
    const owner = await readFile(options.path, 'utf8').catch(() => '')
    const untouched = options.clock.now() - seen.since >= limits.fetch.lockStaleMs
    if (owner !== '' && (untouched || !isAlive(Number(owner)))) await takeAway(options, owner)
    else {
      options.onWait(owner)
      await delay(options.clock, limits.fetch.lockPollMs, options.signal)
    }
  }
}

async function create(options: LockOptions): Promise<boolean> {
  // Written aside and linked: a lock that exists always names its owner.
  const own = `${options.path}.${options.pid}`
  try {
    await using file = await open(own, 'w')
    await file.writeFile(String(options.pid))
    await link(own, options.path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(own, { force: true })
  }
}

/** Moves a dead owner's lock aside; if it was meanwhile another's, it is put back. */
async function takeAway(options: LockOptions, owner: string): Promise<void> {
  const aside = `${options.path}.stale.${options.pid}`
  await rename(options.path, aside).catch(() => undefined)
  const taken = await readFile(aside, 'utf8').catch(() => owner)
  if (taken !== owner) await link(aside, options.path).catch(() => undefined)
  await rm(aside, { force: true })
}

async function versionOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => null)
  return found === null ? '' : `${found.ino}:${found.mtimeNs}`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
