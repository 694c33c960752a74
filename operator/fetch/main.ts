/**
 * A program of its own: fetches one model file into a folder, verifies it, tells how far it is, and ends. Run by the cluster's
 * operator in a Job (or before a worker, where there are no volumes); its exit and last line are the result.
 *
 * Safe to run again at any time: what is there and verified is not fetched twice, and a part is resumed. NATS is only told; where
 * it cannot be reached the fetch goes on in silence.
 */
import { Failure } from '#contracts/failure.ts'
import { type FetchOrder, FetchOrder as FetchOrderSchema, fetchOrderVariable } from '#contracts/fetch.ts'
import { subjects } from '#contracts/subjects.ts'
import { natsAuthorityVariable, natsPasswordVariable } from '#contracts/workerConfig.ts'
import type { Bus } from '#runtime/bus.ts'
import { delay, keepAlive, systemClock } from '#runtime/clock.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { encode } from '#runtime/messages.ts'
import { connectBus } from '#runtime/nats.ts'
import { s3SettingsOf } from '../models/sources.ts'
import { type ModelStore, openModelStore } from '../models/store.ts'

const reportMs = 1_000
const pollMs = 200
const connectMsMax = 5_000

await main()

async function main(): Promise<void> {
  try {
    const order = readOrder(process.env[fetchOrderVariable])
    const log = createLog({ part: 'fetch', level: order.logLevel })
    process.once('SIGTERM', () => process.exit(143))
    const path = await run(order, log)
    log.info({ path }, 'the model is there and verified')
    process.exit(0)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    // The last line: Kubernetes keeps it as the container's message, and the operator shows it.
    process.stderr.write(`${error.message}\n`)
    process.exit(error.retry.kind === 'never' ? 2 : 1)
  }
}

function readOrder(text: string | undefined): FetchOrder {
  const parsed = FetchOrderSchema.safeParse(text === undefined ? undefined : JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new Failure('invalid-configuration', `${fetchOrderVariable}: ${parsed.error.issues[0]?.message ?? 'not set'}`)
}

async function run(order: FetchOrder, log: Log): Promise<string> {
  const store = await openModelStore({
    cacheDir: order.cacheDir,
    settings: {
      huggingFaceEndpoint: process.env['HF_ENDPOINT'] || 'https://huggingface.co',
      huggingFaceToken: process.env['HF_TOKEN'] || null,
      plainHttpHosts: order.plainHttpHosts,
      s3: { ...s3SettingsOf(process.env), nowIso: () => new Date().toISOString() },
    },
    offline: false,
    clock: systemClock,
    random: Math.random,
    pid: process.pid,
    log,
    onFetched: () => undefined,
    onFreshBytes: () => undefined,
  })
  const link: { bus: Bus | null } = { bus: null }
  void connect(order, log).then((bus) => (link.bus = bus))
  const alive = keepAlive()
  const timer = systemClock.every(reportMs, () => tell(link.bus, store, order))
  try {
    return await obtain(store, order)
  } finally {
    timer.cancel()
    alive.cancel()
    await link.bus?.close()
  }
}

async function obtain(store: ModelStore, { file }: FetchOrder): Promise<string> {
  void store.fetch(file)
  for (;;) {
    const state = store.stateOf(file)
    if (state.kind === 'ready') return state.path
    if (state.kind === 'failed')
      throw new Failure('download-failed', state.message, {
        retry: state.retryAt === null ? { kind: 'never' } : { kind: 'after', afterMs: 0 },
      })
    await delay(systemClock, pollMs)
  }
}

async function connect({ nats }: FetchOrder, log: Log): Promise<Bus | null> {
  try {
    return await connectBus({
      ...nats,
      role: 'worker',
      password: process.env[natsPasswordVariable] ?? '',
      authority: process.env[natsAuthorityVariable] || null,
      name: 'paceline-fetch',
      connectTimeoutMs: connectMsMax,
      log,
    })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    log.warn({ error }, 'progress is not told: NATS cannot be reached')
    return null
  }
}

function tell(bus: Bus | null, store: ModelStore, { file }: FetchOrder): void {
  const state = store.stateOf(file)
  if (bus?.state !== 'connected' || state.kind !== 'fetching') return
  const { activity, bytes, bytesTotal, bytesPerSecond } = state
  const report = { sha256: file.sha256, activity: activity.slice(0, 512), bytes, bytesTotal, bytesPerSecond }
  bus.publish(subjects.fetchReport(file.sha256), encode(report))
}
