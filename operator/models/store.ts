/**
 * The models on this machine, by SHA-256: what stands in the cache, what is being fetched, what failed and when to try again.
 *
 * Sole writer of its states; fetches run in the background, one per content however many deployments or processes want it.
 * Whoever reads a state gets a value; changes are announced, progress is not (it is read when somebody looks).
 */
import { Failure } from '#contracts/failure.ts'
import type { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { ModelFile } from '#contracts/resources/modelDeployment.ts'
import type { Clock } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { backOffMs } from '../core/backOff.ts'
import type { ModelState } from '../core/observed.ts'
import { type ModelCache, openModelCache } from './cache.ts'
import { fetchModel } from './fetchModel.ts'
import { withLock } from './lock.ts'
import { ProgressMeter } from './progress.ts'
import type { SourceSettings } from './sources.ts'

export interface ModelStore {
  stateOf(file: ModelFile): ModelState
  /** Starts fetching (for this deployment, or for nobody in particular) unless it is there or already being fetched; does not wait for its end. */
  fetch(file: ModelFile, deployment?: DeploymentName): void | Promise<void>
  /** The verified file, looked at now; null (and the state `absent`) where it has gone or changed since. */
  confirm(file: ModelFile): Promise<string | null>
  onChange(handler: (sha256: string) => void): void
  /** Ends running fetches; their parts stay and are resumed next time. */
  close(): Promise<void>
}

export interface ModelStoreOptions {
  readonly cacheDir: string
  readonly settings: SourceSettings
  readonly offline: boolean
  readonly clock: Clock
  readonly random: () => number
  readonly pid: number
  readonly log: Log
  readonly onFetched: (result: 'fetched' | 'cached' | 'failed') => void
  readonly onFreshBytes: (bytes: number) => void
}

type Slot =
  | { readonly kind: 'fetching'; readonly meter: ProgressMeter; readonly done: Promise<void> }
  | { readonly kind: 'ready'; readonly path: string }
  | { readonly kind: 'failed'; readonly message: string; readonly retryAt: number | null; readonly attempt: number }

export async function openModelStore(options: ModelStoreOptions): Promise<ModelStore> {
  return new Store(options, await openModelCache(options.cacheDir))
}

class Store implements ModelStore {
  readonly #options: ModelStoreOptions
  readonly #cache: ModelCache
  readonly #slots = new Map<string, Slot>()
  readonly #closing = new AbortController()
  readonly #handlers: ((sha256: string) => void)[] = []

  constructor(options: ModelStoreOptions, cache: ModelCache) {
    this.#options = options
    this.#cache = cache
  }

  stateOf(file: ModelFile): ModelState {
    const slot = this.#slots.get(file.sha256)
    if (slot === undefined) return { kind: 'absent' }
    if (slot.kind === 'fetching') return { kind: 'fetching', ...slot.meter.read(this.#options.clock.now()) }
    if (slot.kind === 'ready') return slot
    return { kind: 'failed', message: slot.message, retryAt: slot.retryAt }
  }

  fetch(file: ModelFile): void {
    const before = this.#slots.get(file.sha256)
    if (before?.kind === 'fetching' || before?.kind === 'ready' || this.#closing.signal.aborted) return
    const meter = new ProgressMeter()
    const attempt = before?.kind === 'failed' ? before.attempt + 1 : 1
    const done = this.#obtain(file, meter).then(
      (path) => this.#set(file.sha256, { kind: 'ready', path }),
      (error: unknown) => this.#set(file.sha256, this.#failed(error, attempt)),
    )
    this.#slots.set(file.sha256, { kind: 'fetching', meter, done })
  }

  async confirm(file: ModelFile): Promise<string | null> {
    const path = await this.#cache.trusted(file.sha256)
    if (path === null && this.#slots.get(file.sha256)?.kind === 'ready') {
      this.#slots.delete(file.sha256)
      this.#announce(file.sha256)
    }
    return path
  }

  onChange(handler: (sha256: string) => void): void {
    this.#handlers.push(handler)
  }

  async close(): Promise<void> {
    this.#closing.abort(new Failure('draining', 'the operator is stopping'))
    await Promise.all([...this.#slots.values()].flatMap((slot) => (slot.kind === 'fetching' ? [slot.done] : [])))
  }

  async #obtain(file: ModelFile, meter: ProgressMeter): Promise<string> {
    const { clock, pid, log } = this.#options
    const { signal } = this.#closing
    const cached = await this.#cache.trusted(file.sha256)
    if (cached !== null) return this.#found(cached, 'cached')
    const onWait = (owner: string) => meter.begin(`waiting for process ${owner}, which fetches it`)
    const lock = { path: this.#cache.lockOf(file.sha256), clock, pid, signal, onWait }
    return withLock(lock, async () => {
      const meanwhile = await this.#cache.trusted(file.sha256)
      if (meanwhile !== null) return this.#found(meanwhile, 'cached')
      meter.begin('verifying')
      const { kind } = await this.#cache.recheck(file.sha256, signal)
      if (kind === 'kept') return this.#found(this.#cache.pathOf(file.sha256), 'cached')
      if (kind === 'removed') log.warn({ sha256: file.sha256 }, 'cached model was damaged and is fetched again')
      return this.#found(await this.#download(file, meter), 'fetched')
    })
  }

  #download(file: ModelFile, meter: ProgressMeter): Promise<string> {
    const { clock, settings, offline, onFreshBytes, log } = this.#options
    return fetchModel(file, {
      cache: this.#cache,
      clock,
      settings,
      offline,
      signal: this.#closing.signal,
      onActivity: (activity) => {
        log.info({ activity, sha256: file.sha256 }, 'fetching model')
        meter.begin(activity)
      },
      onBytes: ({ bytes, bytesTotal, fresh }) => {
        meter.add(bytes, bytesTotal, clock.now())
        if (fresh !== undefined) onFreshBytes(fresh)
      },
    })
  }

  #found(path: string, result: 'fetched' | 'cached'): string {
    this.#options.onFetched(result)
    this.#options.log.info({ path, result }, 'model is verified')
    return path
  }

  #failed(error: unknown, attempt: number): Slot {
    const { clock, random, log, onFetched } = this.#options
    log.warn({ error, attempt }, 'model cannot be had')
    const message = error instanceof Error ? error.message : String(error)
    const bounds = { firstMs: limits.operator.fetchBackOffMs, maxMs: limits.operator.fetchBackOffMsMax }
    const never = error instanceof Failure && error.retry.kind === 'never'
    onFetched('failed')
    const retryAt = never ? null : clock.now() + backOffMs(attempt, random(), bounds)
    return { kind: 'failed', message, retryAt, attempt }
  }

  #set(sha256: string, slot: Slot): void {
    this.#slots.set(sha256, slot)
    this.#announce(sha256)
  }

  #announce(sha256: string): void {
    for (const handler of this.#handlers) handler(sha256)
  }
}
