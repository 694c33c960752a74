/**
 * What the pair asks of workers that already run: its record in the bucket `models`, followed from the start of a worker to its end.
 *
 * A record that is not there, or not understood, changes nothing: what the worker was started with holds. A watch that fails is
 * begun again by the bus; without one a worker serves all the same.
 */
import type { DeploymentName } from '#contracts/ids.ts'
import { ModelRecord } from '#contracts/records.ts'
import type { Bus, KeyValueEntry, Subscription } from '#runtime/bus.ts'
import type { Log } from '#runtime/log.ts'
import { decode } from '#runtime/messages.ts'

export interface PairRecordOptions {
  readonly bus: Bus
  readonly deployment: DeploymentName
  readonly log: Log
  readonly onRecord: (record: ModelRecord) => void
}

export class PairRecord {
  readonly #o: PairRecordOptions
  #watch: Promise<Subscription | null> = Promise.resolve(null)

  constructor(options: PairRecordOptions) {
    this.#o = options
  }

  start(): void {
    this.#watch = this.#follow()
  }

  stop(): void {
    void this.#watch.then((watch) => watch?.unsubscribe())
  }

  /** Resolves to null where the bucket cannot be watched. */
  async #follow(): Promise<Subscription | null> {
    const { bus, deployment, log, onRecord } = this.#o
    const take = ({ key, value }: KeyValueEntry) => {
      if (key !== deployment || value === null) return
      const record = understood(value, log)
      if (record !== null) onRecord(record)
    }
    try {
      return await bus.watch('models', { entry: take, synced: () => undefined })
    } catch (error) {
      log.warn({ error }, "the pair's record cannot be followed: its changes need a restart")
      return null
    }
  }
}

function understood(value: Uint8Array, log: Log): ModelRecord | null {
  try {
    return decode(ModelRecord, value)
  } catch (error) {
    log.warn({ error }, "the pair's record is not understood and changes nothing")
    return null
  }
}
