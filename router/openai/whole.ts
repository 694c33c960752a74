/** Answers a request that does not stream: everything is gathered, and one body is sent at the end. */
import type { Failure } from '#contracts/failure.ts'
import type { ChoiceDelta } from '#contracts/messages.ts'
import type { RequestOutcome, ResponseSink } from '../request.ts'
import type { Choice } from './format.ts'
import { Gathering } from './gather.ts'

export interface WholeOutput {
  answer(body: string, outcome: RequestOutcome): void
  fail(failure: Failure): void
  abandon(): void
}

export type Completed = Extract<RequestOutcome, { kind: 'completed' }>

export class WholeSink implements ResponseSink {
  readonly #gathering = new Gathering()
  readonly #output: WholeOutput
  readonly #body: (choices: readonly Choice[], outcome: Completed) => string

  constructor(output: WholeOutput, body: (choices: readonly Choice[], outcome: Completed) => string) {
    this.#output = output
    this.#body = body
  }

  delta(firstChoice: number, choices: readonly ChoiceDelta[]): void {
    this.#gathering.add(firstChoice, choices)
  }

  restart(firstChoice: number, choices: number): void {
    this.#gathering.drop(firstChoice, choices)
  }

  end(outcome: RequestOutcome): void {
    switch (outcome.kind) {
      case 'completed':
        this.#output.answer(this.#body(this.#gathering.take(), outcome), outcome)
        return
      case 'failed':
        this.#output.fail(outcome.failure)
        return
      case 'cancelled':
        this.#output.abandon()
        return
      default:
        outcome satisfies never
    }
  }
}
