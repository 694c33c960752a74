/**
 * The keyed work queue: equal keys merge, the earlier time wins, a key never runs twice at once, and a key that fails waits
 * longer each time without holding up the others.
 *
 * Bounded by the number of keys (each is in here at most once) and `reconcilesMax` running at the same time.
 */
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import { backOffMs } from './core/backOff.ts'

/** What a reconcile asks for next. */
export type Requeue =
  /** Everything is as it should be; only a change matters. */
  | { readonly kind: 'await-change' }
  | { readonly kind: 'after'; readonly ms: number }
  /** It could not be done; again later, and later each time. */
  | { readonly kind: 'back-off'; readonly reason: string }
  /** It cannot be done until somebody changes something. */
  | { readonly kind: 'stalled'; readonly reason: string }

export interface Queue<K extends string> {
  /** Run `key` now (or after `afterMs`), unless it is due sooner already. While it runs, it runs once more afterwards. */
  add(key: K, afterMs?: number): void
  /** Keys that wait for their turn, delayed ones included. */
  readonly depth: number
  /** Takes nothing more and resolves when what runs has ended. */
  stop(): Promise<void>
}

export interface QueueOptions<K extends string> {
  readonly clock: Clock
  readonly random: () => number
  /** Must not reject: what goes wrong is a `back-off`. */
  readonly run: (key: K) => Promise<Requeue>
  readonly runningMax?: number
}

interface Item {
  /** null: not waiting. */
  due: { at: number; timer: Timer } | null
  /** Due, and waiting for its turn. */
  ready: boolean
  running: boolean
  /** Asked for while it ran. */
  again: number | null
  failures: number
}

export function createQueue<K extends string>(options: QueueOptions<K>): Queue<K> {
  return new KeyedQueue(options)
}

class KeyedQueue<K extends string> implements Queue<K> {
  readonly #options: QueueOptions<K>
  readonly #items = new Map<K, Item>()
  readonly #ready: K[] = []
  readonly #runs = new Set<Promise<void>>()
  #stopped = false

  constructor(options: QueueOptions<K>) {
    this.#options = options
  }

  get depth(): number {
    let depth = 0
    for (const { due, ready } of this.#items.values()) if (ready || due !== null) depth += 1
    return depth
  }

  add(key: K, afterMs = 0): void {
    if (this.#stopped) return
    const item = this.#items.get(key) ?? { due: null, ready: false, running: false, again: null, failures: 0 }
    if (item.ready) return
    this.#items.set(key, item)
    const at = this.#options.clock.now() + afterMs
    if (item.running) item.again = Math.min(at, item.again ?? at)
    else this.#schedule(key, item, at)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const item of this.#items.values()) item.due?.timer.cancel()
    this.#items.clear()
    this.#ready.length = 0
    await Promise.all(this.#runs)
  }

  #schedule(key: K, item: Item, at: number): void {
    if (item.due !== null && item.due.at <= at) return
    item.due?.timer.cancel()
    const timer = this.#options.clock.after(Math.max(0, at - this.#options.clock.now()), () => {
      item.due = null
      item.ready = true
      this.#ready.push(key)
      this.#pump()
    })
    item.due = { at, timer }
  }

  #pump(): void {
    const runningMax = this.#options.runningMax ?? limits.operator.reconcilesMax
    while (this.#runs.size < runningMax) {
      const key = this.#ready.shift()
      const item = key === undefined ? undefined : this.#items.get(key)
      if (key === undefined || item === undefined) return
      item.ready = false
      item.running = true
      const run = this.#options.run(key).then((requeue) => {
        this.#runs.delete(run)
        this.#ended(key, item, requeue)
      })
      this.#runs.add(run)
    }
  }

  #ended(key: K, item: Item, requeue: Requeue): void {
    item.running = false
    item.failures = requeue.kind === 'back-off' ? item.failures + 1 : 0
    if (this.#stopped) return
    const now = this.#options.clock.now()
    const own = this.#waitMs(item, requeue)
    const wanted = [item.again, own === null ? null : now + own].filter((at) => at !== null)
    item.again = null
    if (wanted.length > 0) this.#schedule(key, item, Math.min(...wanted))
    else this.#items.delete(key)
    this.#pump()
  }

  #waitMs(item: Item, requeue: Requeue): number | null {
    const bounds = { firstMs: limits.operator.backOffMs, maxMs: limits.operator.backOffMsMax }
    switch (requeue.kind) {
      case 'await-change':
      case 'stalled':
        return null
      case 'after':
        return requeue.ms
      case 'back-off':
        return backOffMs(item.failures, this.#options.random(), bounds)
      default:
        return requeue satisfies never
    }
  }
}
