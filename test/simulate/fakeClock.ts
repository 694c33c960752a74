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

interface Owner {
  pending: number
  halted: boolean
  frozen: boolean
  held: Entry[]
}

/** Turns of the event loop after each timer. One runs all promises; the second what they started with `setImmediate`. */
const turnsPerTimer = 2

export function createFakeClock(startMs = 1_000): FakeClock {
  const state = { now: startMs, order: 0 }
  const queue = new TimerQueue()
  const owners: Owner[] = []

  const add = (owner: Owner, ms: number, everyMs: number | null, action: () => void): Timer => {
    if (owner.halted) return { cancel() {} }
    const entry = { due: state.now + Math.max(0, ms), order: state.order++, everyMs, action, owner, cancelled: false }
    owner.pending += 1
    queue.add(entry)
    return {
      cancel() {
        if (entry.cancelled) return
        entry.cancelled = true
        owner.pending -= 1
      },
    }
  }

  const fire = (entry: Entry): void => {
    const { owner } = entry
    if (entry.cancelled || owner.halted) return
    if (owner.frozen) {
      owner.held.push(entry)
      return
    }
    if (entry.everyMs === null) {
      entry.cancelled = true
      owner.pending -= 1
    } else {
      entry.due = state.now + Math.max(entry.everyMs, 0.001)
      entry.order = state.order++
      queue.add(entry)
    }
    entry.action()
  }

  const runNext = (target: number): boolean => {
    const entry = queue.takeDue(target)
    if (entry === null) return false
    state.now = Math.max(state.now, entry.due)
    fire(entry)
    return true
  }

  const createOwner = (): Owner => {
    const owner = { pending: 0, halted: false, frozen: false, held: [] }
    owners.push(owner)
    return owner
  }
  const clockOf = (owner: Owner): Clock => ({
    now: () => state.now,
    after: (ms, action) => add(owner, ms, null, action),
    every: (ms, action) => add(owner, ms, ms, action),
  })

  const process = (name: string): ProcessClock => {
    const owner = createOwner()
    return {
      ...clockOf(owner),
      name,
      get pending() {
        return owner.halted ? 0 : owner.pending
      },
      get frozen() {
        return owner.frozen
      },
      halt() {
        owner.halted = true
        owner.held = []
      },
      freeze() {
        owner.frozen = true
      },
      thaw() {
        owner.frozen = false
        const held = owner.held.splice(0)
        for (const entry of held) {
          entry.due = state.now
          entry.order = state.order++
          queue.add(entry)
        }
      },
    }
  }

  const runUntil = async (condition: () => boolean, msMax: number): Promise<boolean> => {
    const target = state.now + msMax
    await settle()
    while (!condition()) {
      if (!runNext(target)) {
        state.now = target
        return condition()
      }
      await settle()
    }
    return true
  }

  return {
    ...clockOf(createOwner()),
    process,
    settle,
    runUntil,
    get pending() {
      return owners.reduce((sum, owner) => sum + (owner.halted ? 0 : owner.pending), 0)
    },
    async advance(ms) {
      await runUntil(() => false, ms)
    },
    advanceNow(ms) {
      const target = state.now + ms
      while (runNext(target));
      state.now = target
    },
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < turnsPerTimer; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
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
