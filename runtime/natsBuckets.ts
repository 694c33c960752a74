/**
 * Creates the KV buckets. Only the operator does this; everybody else waits until they are there.
 *
 * Safe to run again at any time, and to be run after every reconnect: a server may come back without its files.
 */
import { jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { type Bucket, buckets } from '#contracts/subjects.ts'
import type { NatsBus } from './nats.ts'

export interface BucketOptions {
  /** Servers that hold a copy: 1, 3 or 5, never more than the cluster has. */
  readonly replicas?: number
}

/** Only the newest value of a key counts; markers of what expired tell watchers, and go themselves. */
const settings = { history: 1, maxValueSize: limits.nats.payloadBytesMax, markerTTL: 60_000 } as const
const ttlMs: Partial<Record<Bucket, number>> = { workers: limits.worker.registrationTtlMs }

export async function ensureBuckets(bus: NatsBus, { replicas = 1 }: BucketOptions = {}): Promise<void> {
  for (const [bucket, name] of Object.entries(buckets) as [Bucket, string][]) {
    const ttl = ttlMs[bucket]
    try {
      const keyValues = new Kvm(bus.connection)
      const keyValue = await keyValues.create(name, { ...settings, replicas, ...(ttl === undefined ? {} : { ttl }) })
      const { streamInfo } = await keyValue.status()
      await correct(bus, streamInfo.config, { max_age: (ttl ?? 0) * 1e6, num_replicas: replicas })
    } catch (cause) {
      throw notCreated(name, cause)
    }
  }
}

/** A bucket made by an earlier version gets today's settings. */
async function correct(bus: NatsBus, config: StreamConfig, wanted: Pick<StreamConfig, 'max_age' | 'num_replicas'>) {
  if (config.max_age === wanted.max_age && config.num_replicas === wanted.num_replicas) return
  const manager = await jetstreamManager(bus.connection)
  await manager.streams.update(config.name, { ...config, ...wanted })
}

function notCreated(name: string, cause: unknown): Failure {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Failure('bus-unavailable', `cannot create the KV bucket ${name} (${reason}); is JetStream on?`, {
    retry: { kind: 'after', afterMs: limits.nats.reconnectWaitMsMax },
    cause,
  })
}
