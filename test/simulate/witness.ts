/**
 * Watches everything on the wire and checks what must hold whatever happens. Knows nothing of the code under test but its
 * messages.
 */
import type { DispatchId, RequestId, RouterId, WorkerId } from '#contracts/ids.ts'
import { Cancel, Dispatch, type RequestEvent, StepFrame, WorkerReport } from '#contracts/messages.ts'
import { parseReport, parseWorkerInbox } from '#contracts/subjects.ts'
import { decode } from '#runtime/messages.ts'
import type { FakeNetwork } from './fakeBus.ts'

export interface DispatchSeen {
  readonly requestId: RequestId
  readonly router: RouterId
  readonly worker: WorkerId
  readonly choices: number
  readonly seed: number
  /** Given up by the router before its end was known. */
  givenUp: boolean
  /** By number, as they were first sent. */
  readonly events: Map<number, { readonly json: string; readonly event: RequestEvent }>
  completed: boolean
}

export class Witness {
  readonly dispatches = new Map<DispatchId, DispatchSeen>()
  readonly reports = new Map<string, WorkerReport>()
  readonly mistakes: string[] = []
  readonly counts = {
    frames: 0,
    events: 0,
    repeatedEvents: 0,
    dispatches: 0,
    repeatedDispatches: 0,
    cancels: 0,
    resends: 0,
  }

  constructor(network: FakeNetwork) {
    network.tap((client, subject, payload) => this.#see(client, subject, payload))
  }

  #see(client: string, subject: string, payload: Uint8Array): void {
    const inbox = parseWorkerInbox(subject)
    if (inbox?.kind === 'dispatch') this.#dispatch(decode(Dispatch, payload), inbox.worker)
    else if (inbox?.kind === 'cancel') this.#cancel(decode(Cancel, payload))
    else if (inbox?.kind === 'resend') this.counts.resends += 1
    else if (parseReport(subject) !== null) this.#report(client, decode(WorkerReport, payload))
    else if (subject.endsWith('.stream')) this.#frame(decode(StepFrame, payload))
  }

  #dispatch(dispatch: Dispatch, worker: WorkerId): void {
    const seen = this.dispatches.get(dispatch.id)
    this.counts.dispatches += 1
    if (seen !== undefined) {
      this.counts.repeatedDispatches += 1
      if (seen.worker !== worker) this.mistakes.push(`dispatch ${dispatch.id} went to ${seen.worker} and ${worker}`)
      return
    }
    this.dispatches.set(dispatch.id, {
      requestId: dispatch.requestId,
      router: dispatch.router,
      worker,
      choices: dispatch.choices,
      seed: dispatch.sampling.seed,
      givenUp: false,
      events: new Map(),
      completed: false,
    })
  }

  #cancel(cancel: Cancel): void {
    this.counts.cancels += 1
    const seen = this.dispatches.get(cancel.id)
    if (seen === undefined) this.mistakes.push(`cancel of ${cancel.id}, which was never dispatched`)
    else seen.givenUp = true
  }

  #report(client: string, report: WorkerReport): void {
    const before = this.reports.get(client)
    if (before !== undefined && report.number <= before.number)
      this.mistakes.push(`${client}: report ${report.number} after ${before.number}`)
    const { slots, cells } = report
    if (slots.busy > slots.total || slots.busy < 0 || slots.waiting < 0 || cells.used > cells.total)
      this.mistakes.push(`${client}: impossible report ${JSON.stringify({ slots, cells })}`)
    this.reports.set(client, report)
  }

  #frame(frame: StepFrame): void {
    this.counts.frames += 1
    for (const event of frame.events) this.#event(frame.worker, event)
  }

  #event(worker: WorkerId, event: RequestEvent): void {
    this.counts.events += 1
    const seen = this.dispatches.get(event.id)
    if (seen === undefined || seen.worker !== worker) {
      this.mistakes.push(`${worker}: event of ${event.id}, which it was never sent`)
      return
    }
    // What a worker says of a dispatch that it does not know depends on what it is asked.
    if (event.kind === 'final' && event.outcome.kind === 'failed' && event.outcome.failure.code === 'worker-lost')
      return
    const json = JSON.stringify(event)
    const before = seen.events.get(event.number)?.json
    if (before === undefined) seen.events.set(event.number, { json, event })
    else if (before === json) this.counts.repeatedEvents += 1
    else this.mistakes.push(`${worker}: event ${event.number} of ${event.id} changed from ${before} to ${json}`)
    if (event.kind === 'final' && event.outcome.kind === 'completed') seen.completed = true
  }

  /** Work done twice although the router had not given up the first. `isExcused`: the worker was lost in between. */
  doubleCompletions(isExcused: (worker: WorkerId) => boolean): string[] {
    const byPart = Map.groupBy(
      [...this.dispatches].filter(([, { completed }]) => completed),
      ([, { requestId, router, seed }]) => `${router}/${requestId}/${seed}`,
    )
    return [...byPart].flatMap(([part, done]) => {
      const kept = done.filter(([, { givenUp, worker }]) => !givenUp && !isExcused(worker))
      return kept.length > 1 ? [`${part} ran to completion as ${kept.map(([id]) => id).join(' and ')}`] : []
    })
  }
}

/** Token ids per choice that a worker told for one dispatch, up to the first event that nobody saw it send. */
export function tokensTold({ events, choices }: DispatchSeen): number[][] {
  const tokens: number[][] = Array.from({ length: choices }, () => [])
  for (let number = 0; ; number++) {
    const event = events.get(number)?.event
    if (event === undefined) return tokens
    if (event.kind !== 'delta' && event.kind !== 'final') continue
    for (const choice of event.choices) tokens[choice.index]?.push(...choice.tokens)
  }
}
