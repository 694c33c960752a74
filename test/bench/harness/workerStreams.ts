/**
 * Streams taken straight from a worker over NATS, in the router's place: dispatches out, step frames in.
 *
 * What the client of the router sees on top of this is what the router adds; the worker's own timing is in both.
 */
import { DispatchId, RequestId, RouterId, TenantId } from '#contracts/ids.ts'
import type { Dispatch, StepFrame } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { subjects } from '#contracts/subjects.ts'
import { encode } from '#runtime/messages.ts'
import type { Platform } from './platform.ts'
import { figuresOf, type LoadFigures, messages } from './routerSections.ts'
import { gaps } from './statistics.ts'

interface Stream {
  readonly at: number[]
  tokens: number
  readonly ended: PromiseWithResolvers<void>
}

const router = RouterId.parse('measurement')
let dispatched = 0

export async function streamsFromWorker(
  platform: Platform,
  deployment: string,
  { streams, tokens }: { streams: number; tokens: number },
): Promise<LoadFigures> {
  const worker = platform.workers.find((each) => each.deployment === deployment)
  if (worker === undefined) throw new Error(`no worker of ${deployment}`)
  const bus = await platform.connect('router')
  const open = new Map<string, Stream>()
  bus.subscribe(subjects.stream(router), (payload) => take(open, payload))
  await bus.flush()
  for (let index = 0; index < streams; index += 1) {
    const dispatch = dispatchOf(tokens)
    open.set(dispatch.id, { at: [], tokens: 0, ended: Promise.withResolvers<void>() })
    bus.publish(subjects.dispatch(worker.id), encode(dispatch))
  }
  await Promise.all([...open.values()].map((stream) => stream.ended.promise))
  await bus.close()
  const all = [...open.values()]
  const lost = all.reduce((sum, stream) => sum + tokens - stream.tokens, 0)
  const frames = all.reduce((sum, stream) => sum + stream.at.length, 0)
  return figuresOf({ times: all.flatMap((stream) => gaps(stream.at)), failures: [], frames, lost })
}

function dispatchOf(tokens: number): Dispatch {
  const id = `measurement-${(dispatched += 1)}`
  return {
    id: DispatchId.parse(id),
    requestId: RequestId.parse(id),
    router,
    tenant: TenantId.parse('bench'),
    priority: 0,
    deadlineMs: 60_000,
    choices: 1,
    deltaIntervalMs: 0,
    work: { kind: 'chat', messages },
    sampling: { ...samplingDefaults, temperature: 0, seed: 1, maxTokens: tokens, ignoreEos: true },
  }
}

function take(open: ReadonlyMap<string, Stream>, payload: Uint8Array): void {
  const now = performance.now()
  // Not parsed with the schema: this stands for the least that a receiver can do, and the worker is ours.
  const frame = JSON.parse(Buffer.from(payload).toString('utf8')) as StepFrame
  for (const event of frame.events) {
    const stream = open.get(event.id)
    if (stream === undefined) continue
    const gained = 'choices' in event ? event.choices.reduce((sum, choice) => sum + choice.tokens.length, 0) : 0
    stream.tokens += gained
    if (gained > 0) stream.at.push(now)
    if (event.kind === 'final' || event.kind === 'refused') stream.ended.resolve()
  }
}
