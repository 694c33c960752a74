/**
 * Time that only moves when a test says so. Timers run in order of (due time, order of creation), never two at once.
 *
 * Promise-based code runs too: after each timer the event loop is turned until all microtasks and immediates are done, and
 * only then does the next timer run. What waits on real I/O (sockets, files) does not belong here.
 * Each process of a simulation takes its own `process()` clock, so that it can be halted like a killed process or frozen like
 * a stopped one, and so that a test can count the timers it left behind.
 */
import type { Clock, Timer } from '#runtime/clock.ts'

export interface ProcessClock extends Clock {
  readonly name: string
  /** Timers that are set and have not run: what a process leaves behind when it forgot to cancel. */
  readonly pending: number
  /** As `kill -9`: nothing of this process runs any more. */
  halt(): void
  /** As SIGSTOP: due timers wait until `thaw`, then run in order. */
  freeze(): void
  thaw(): void
  readonly frozen: boolean
}

export interface FakeClock extends Clock {
  /** Timers pending over all processes. */
  readonly pending: number
  process(name: string): ProcessClock
  /** Moves time by `ms` and runs what comes due, letting promises settle after each timer. */
  advance(ms: number): Promise<void>
  /** Moves time until `condition` holds (checked after each timer), at most `msMax`. Says whether it held. */
  runUntil(condition: () => boolean, msMax: number): Promise<boolean>
  /** Lets promises settle without moving time. */
  settle(): Promise<void>
  /** As `advance` for code without promises. */
  advanceNow(ms: number): void
}

interface Entry {
  due: number
  order: number
  readonly everyMs: number | null
  readonly action: () => void
  readonly owner: Owner
  cancelled: boolean
}

/** Turns of the event loop after each timer. One runs all promises; the second what they started with `setImmediate`. */
const turnsPerTimer = 2

export function createFakeClock(startMs = 1_000): FakeClock {
  return new SteppedClock(startMs)
}

/** What all processes share: now, and the queue of timers. */
class Timeline {
  readonly #queue = new TimerQueue()
  #order = 0
  now: number

  constructor(startMs: number) {
    this.now = startMs
  }

  /** Puts a timer (again) into the queue, behind those that are due at the same time. */
  put(entry: Entry, due: number): void {
    entry.due = due
    entry.order = this.#order++
    this.#queue.add(entry)
  }

  /** Runs the next timer that is due at `target` at the latest; false where there is none. */
  runNext(target: number): boolean {
    const entry = this.#queue.takeDue(target)
    if (entry === null) return false
    this.now = Math.max(this.now, entry.due)
    entry.owner.fire(entry)
    return true
  }
}

/** One process's timers. */
class Owner implements ProcessClock {
  readonly name: string
  readonly #timeline: Timeline
  #pending = 0
  #held: Entry[] = []
  halted = false
  frozen = false

  constructor(name: string, timeline: Timeline) {
    this.name = name
    this.#timeline = timeline
  }

  get pending(): number {
    return this.halted ? 0 : this.#pending
  }

  now(): number {
    return this.#timeline.now
  }

  after(ms: number, action: () => void): Timer {
    return this.#add(ms, null, action)
  }

  every(ms: number, action: () => void): Timer {
    return this.#add(ms, ms, action)
  }

  halt(): void {
    this.halted = true
    this.#held = []
  }

  freeze(): void {
    this.frozen = true
  }

  thaw(): void {
    this.frozen = false
    for (const entry of this.#held.splice(0)) this.#timeline.put(entry, this.#timeline.now)
  }

  fire(entry: Entry): void {
    if (this.frozen) {
      this.#held.push(entry)
      return
    }
    if (entry.everyMs === null) {
      entry.cancelled = true
      this.#pending -= 1
      // An interval of nothing would stop time.
    } else this.#timeline.put(entry, this.#timeline.now + Math.max(entry.everyMs, 0.001))
    entry.action()
  }

  #add(ms: number, everyMs: number | null, action: () => void): Timer {
    if (this.halted) return { cancel() {} }
    const entry: Entry = { due: 0, order: 0, everyMs, action, owner: this, cancelled: false }
    this.#pending += 1
    this.#timeline.put(entry, this.#timeline.now + Math.max(0, ms))
    const cancel = () => {
      if (entry.cancelled) return
      entry.cancelled = true
      this.#pending -= 1
    }
    return { cancel }
  }
}

class SteppedClock implements FakeClock {
  readonly #timeline: Timeline
  readonly #own: Owner
  readonly #owners: Owner[] = []

  constructor(startMs: number) {
    this.#timeline = new Timeline(startMs)
    this.#own = this.process('')
  }

  get pending(): number {
    return this.#owners.reduce((sum, owner) => sum + owner.pending, 0)
  }

  now(): number {
    return this.#timeline.now
  }

  after(ms: number, action: () => void): Timer {
    return this.#own.after(ms, action)
  }

  every(ms: number, action: () => void): Timer {
    return this.#own.every(ms, action)
  }

  process(name: string): Owner {
    const owner = new Owner(name, this.#timeline)
    this.#owners.push(owner)
    return owner
  }

  async advance(ms: number): Promise<void> {
    await this.runUntil(() => false, ms)
  }

  async runUntil(condition: () => boolean, msMax: number): Promise<boolean> {
    const target = this.now() + msMax
    await this.settle()
    while (!condition()) {
      if (!this.#timeline.runNext(target)) {
        this.#timeline.now = target
        return condition()
      }
      await this.settle()
    }
    return true
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < turnsPerTimer; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  advanceNow(ms: number): void {
    const target = this.now() + ms
    while (this.#timeline.runNext(target));
    this.#timeline.now = target
  }
}

/** A binary heap by (due, order). Cancelled entries are dropped when they come up. */
class TimerQueue {
  readonly #heap: Entry[] = []

  add(entry: Entry): void {
    this.#heap.push(entry)
    let index = this.#heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#swapIfBefore(index, parent)) return
      index = parent
    }
  }

  takeDue(target: number): Entry | null {
    for (let top = this.#heap[0]; top !== undefined && top.due <= target; top = this.#heap[0]) {
      this.#removeTop()
      if (!top.cancelled && !top.owner.halted) return top
    }
    return null
  }

  #removeTop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    for (let index = 0; ; ) {
      const left = 2 * index + 1
      const right = left + 1
      const child = this.#isBefore(right, left) ? right : left
      if (!this.#swapIfBefore(child, index)) return
      index = child
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#heap[a]
    const right = this.#heap[b]
    if (left === undefined || right === undefined) return false
    return left.due < right.due || (left.due === right.due && left.order < right.order)
  }

  #swapIfBefore(a: number, b: number): boolean {
    const left = this.#heap[a]
    const right = this.#heap[b]
    if (left === undefined || right === undefined || !this.#isBefore(a, b)) return false
    this.#heap[a] = right
    this.#heap[b] = left
    return true
  }
}
