/**
 * Looks at the memory that is left, now and then, and closes a draft model that is one too many: memory that runs out ends the process
 * and every request in it, a draft that goes costs speed.
 *
 * Costs three small files every few seconds and nothing per step; one look at a time. What was closed stays closed: its room is not
 * there to be taken a second time, and opening and closing in turn would cost more than a draft gives.
 */
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { isInMainMemory, memoryPressure } from './draftMemory.ts'
import type { Memory, ReadMemory } from './memory.ts'
import type { Meter } from './meter.ts'
import type { RunnerInfo } from './modelRunner.ts'
import type { Speculator } from './speculator.ts'

export interface MemoryWatchOptions {
  readonly clock: Clock
  readonly log: Log
  readonly meter: Pick<Meter, 'memoryAvailable'>
  readonly speculator: Pick<Speculator, 'has' | 'giveUp'>
  readonly info: Pick<RunnerInfo, 'simulated' | 'backend'>
  readonly read: ReadMemory
}

export class MemoryWatch {
  readonly #o: MemoryWatchOptions
  #timer: Timer | null = null
  #isLooking = false

  constructor(options: MemoryWatchOptions) {
    this.#o = options
  }

  start(): void {
    this.#timer = this.#o.clock.every(limits.worker.memoryLookIntervalMs, () => void this.#look())
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const memory = await this.#o.read()
      if (memory !== null && this.#timer !== null) this.#heed(memory)
    } catch (error) {
      this.#o.log.warn({ error }, 'memory cannot be read; it is looked at again later')
    } finally {
      this.#isLooking = false
    }
  }

  #heed(memory: Memory): void {
    const { log, meter, speculator, info } = this.#o
    meter.memoryAvailable(memory.availableBytes)
    const pressure = isInMainMemory(info) ? memoryPressure(memory) : null
    if (pressure === null || !speculator.has('draft')) return
    log.warn({ ...memory }, 'memory runs out: the draft model is closed')
    speculator.giveUp('draft', { reason: 'DraftMemory', message: pressure })
  }
}
