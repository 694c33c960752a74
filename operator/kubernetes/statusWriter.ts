/** Reads and writes the status of pairs: at once what people act on, figures and progress now and then, nothing that says the same. */
import { Failure } from '#contracts/failure.ts'
import { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import { conditionsOf, finding } from '../core/conditions.ts'
import type { KubernetesClient } from './client.ts'
import type { KnownDeployment } from './core/deployments.ts'
import { occurrencesOf } from './core/occurrences.ts'
import { worthOf } from './core/statusChange.ts'
import type { Occurrence } from './events.ts'
import { type DeploymentObject, nameOf, resources, uidOf } from './core/objects.ts'
import type { Watches } from './watches.ts'

export interface StatusWriterOptions {
  readonly client: KubernetesClient
  readonly watches: Watches
  readonly clock: Clock
  /** The wall clock, which only people read. */
  readonly nowIso: () => string
  readonly log: Log
  /** What was not worth a write yet may be now: the pair should be looked at. */
  readonly onDue: (name: string) => void
  readonly say: (name: string, occurrence: Occurrence) => void
}

interface Written {
  at: number
  /** At most one look waits per pair. */
  due: Timer | null
}

export class StatusWriter {
  readonly #options: StatusWriterOptions
  readonly #written = new Map<string, Written>()
  readonly #parsed = new WeakMap<DeploymentObject, { readonly status: ModelDeploymentStatus | null }>()

  constructor(options: StatusWriterOptions) {
    this.#options = options
  }

  of(object: DeploymentObject): ModelDeploymentStatus | null {
    let known = this.#parsed.get(object)
    if (known === undefined) {
      known = { status: ModelDeploymentStatus.safeParse(object.status).data ?? null }
      this.#parsed.set(object, known)
    }
    return known.status
  }

  async write(object: DeploymentObject, wanted: ModelDeploymentStatus): Promise<void> {
    const { client, watches, clock, say } = this.#options
    const status = writable(wanted)
    const name = nameOf(object)
    const before = this.of(object)
    const worth = worthOf(before, status)
    if (worth.kind === 'same') return
    const written = this.#writtenOf(name)
    const dueInMs = worth.kind === 'later' ? written.at + worth.intervalMs - clock.now() : 0
    if (dueInMs > 0) return this.#lookLater(name, written, dueInMs)
    const applied = await client.apply(
      resources.deployments,
      { metadata: { name, uid: uidOf(object) }, status },
      'status',
    )
    written.at = clock.now()
    if (applied === null) return
    watches.deployments.remember(applied)
    for (const occurrence of occurrencesOf(before, status)) say(name, occurrence)
  }

  /**
   * A pair of which nothing can be taken: the definitions of the cluster let through what this operator does not understand (they
   * are of another version). Its workers are left alone; this says why nothing happens.
   */
  async refuse({ object, problems }: KnownDeployment): Promise<void> {
    const generation = object.metadata?.generation ?? 0
    const message = `nothing is done with it; to fix: ${problems.join('; ')}`
    const findings = [
      finding('Ready', 'unknown', 'SpecNotUnderstood', message),
      finding('Degraded', true, 'SpecNotUnderstood', message),
    ]
    const before = this.of(object)
    const conditions = conditionsOf(findings, before?.conditions ?? [], { nowIso: this.#options.nowIso(), generation })
    const blank = { replicas: 0, readyReplicas: 0, selector: '', currentRevision: '', desiredRevision: '', url: '' }
    try {
      await this.write(object, { ...blank, measured: {}, ...before, conditions, observedGeneration: generation })
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      this.#options.log.warn({ deployment: nameOf(object), error }, 'a pair that is not understood cannot be told so')
    }
  }

  forget(name: string): void {
    this.#written.get(name)?.due?.cancel()
    this.#written.delete(name)
  }

  #writtenOf(name: string): Written {
    const known = this.#written.get(name) ?? { at: Number.NEGATIVE_INFINITY, due: null }
    this.#written.set(name, known)
    return known
  }

  #lookLater(name: string, written: Written, ms: number): void {
    written.due ??= this.#options.clock.after(ms, () => {
      written.due = null
      this.#options.onDue(name)
    })
  }
}

/** An object of which a server-side apply takes every field away is stored as null, which its schema then refuses. */
function writable(status: ModelDeploymentStatus): ModelDeploymentStatus {
  return Object.keys(status.measured).length > 0 ? status : { ...status, measured: { tokensPerSecond: 0 } }
}
