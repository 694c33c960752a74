/**
 * Answers a streaming request: deltas in, server-sent events out. One write per delta and request.
 *
 * While the client does not read, text is gathered instead of written, and goes out as one delta per choice when it reads again:
 * a slow client costs the router its unread text, not its unread frames. Nothing is written before the first text, so that every
 * failure before it is an ordinary HTTP error; one after it is an error event, and then there is no `[DONE]`.
 */
import type { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta } from '#contracts/messages.ts'
import type { RequestOutcome, ResponseSink, UsageTotals } from '../request.ts'
import { errorBody } from './errors.ts'
import { type Choice, type Format, streamEnd } from './format.ts'
import { Gathering } from './gather.ts'

export interface StreamOutput {
  /** The head of the response has been written. */
  readonly started: boolean
  /** The client does not keep up: hold back until `onDrain` is called. */
  readonly blocked: boolean
  write(events: string): void
  end(events: string, outcome: RequestOutcome): void
  /** Ends an answer of which nothing was written. */
  fail(failure: Failure): void
  /** Ends an answer that nobody reads any more. */
  abandon(): void
  /** Too much is held back for a client that does not read. */
  cutOff(): void
}

export class StreamSink implements ResponseSink {
  readonly #format: Format
  readonly #includeUsage: boolean
  readonly #output: StreamOutput
  /** Characters sent per choice; a choice that is not in here has not been opened. */
  readonly #sent = new Map<number, number>()
  #held: Gathering | null = null

  constructor(options: { format: Format; includeUsage: boolean; output: StreamOutput }) {
    this.#format = options.format
    this.#includeUsage = options.includeUsage
    this.#output = options.output
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    if (this.#output.blocked) this.#hold(firstChoice, choices)
    else this.#output.write(this.#render(firstChoice, choices))
  }

  restart(): void {
    // Only ever asked of a stream that was given nothing.
  }

  end(outcome: RequestOutcome): void {
    switch (outcome.kind) {
      case 'completed':
        this.#output.end(this.#rest() + this.#usage(outcome.usage) + streamEnd, outcome)
        return
      case 'failed':
        if (this.#output.started) this.#output.end(`${this.#rest()}data: ${errorBody(outcome.failure)}\n\n`, outcome)
        else this.#output.fail(outcome.failure)
        return
      case 'cancelled':
        this.#output.abandon()
        return
      default:
        outcome satisfies never
    }
  }

  /** The client reads again. */
  drained(): void {
    const events = this.#rest()
    if (events !== '') this.#output.write(events)
  }

  #hold(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    this.#held ??= new Gathering()
    this.#held.add(firstChoice, choices)
    if (this.#held.characters > limits.http.slowReaderHeldBytesMax) this.#output.cutOff()
  }

  #rest(): string {
    if (this.#held === null) return ''
    const events = this.#held.take().map((choice) => this.#events(choice))
    this.#held = null
    return events.join('')
  }

  #render(firstChoice: number, choices: readonly ChoiceDelta[]): string {
    let events = ''
    for (const { index, text, logprobs, finish } of choices) {
      const choice = { index: firstChoice + index, text, logprobs: logprobs ?? null, finish: finish ?? null, offset: 0 }
      events += this.#events(choice)
    }
    return events
  }

  #events(choice: Choice): string {
    const { index, text, finish, logprobs } = choice
    const before = this.#sent.get(index)
    let events = before === undefined ? this.#format.opening(index) : ''
    if (text !== '' || logprobs !== null) events += this.#format.text({ ...choice, offset: before ?? 0 })
    if (finish !== null) events += this.#format.finish(index, finish)
    this.#sent.set(index, (before ?? 0) + text.length)
    return events
  }

  #usage(usage: UsageTotals): string {
    return this.#includeUsage ? this.#format.usage(usage) : ''
  }
}
