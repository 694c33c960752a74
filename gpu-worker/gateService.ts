/**
 * Answers routers that ask which expert a text is for: tokenises what the gate reads and gates it.
 *
 * Answers at once or not at all: a question about another gate is for a worker of another revision. An expert that this worker
 * refuses is never an answer; such a text gets the model without an expert.
 */
import { gateOf } from '#algorithms/preGate/preGate.ts'
import type { GateAnswer, GateQuestion } from '#contracts/messages.ts'
import { baseExpert } from '#contracts/resources/modelDeployment.ts'
import { subjects } from '#contracts/subjects.ts'
import type { Bus } from '#runtime/bus.ts'
import { encode } from '#runtime/messages.ts'
import type { OpenGate } from './expertSupplies.ts'
import type { ModelRunner } from './modelRunner.ts'

export interface GateServiceOptions {
  readonly bus: Bus
  readonly runner: Pick<ModelRunner, 'tokenize' | 'info'>
  readonly gate: OpenGate | null
  readonly isUsable: (expert: string) => boolean
}

export class GateService {
  readonly #o: GateServiceOptions

  constructor(options: GateServiceOptions) {
    this.#o = options
  }

  take(question: GateQuestion): void {
    const answer = this.answerTo(question)
    if (answer !== null) this.#o.bus.publish(subjects.gated(question.router), encode(answer))
  }

  answerTo({ gate: asked, number, text }: GateQuestion): GateAnswer | null {
    const { gate, isUsable } = this.#o
    if (gate === null || gate.sha256 !== asked) return null
    const { expert, probability } = gateOf(gate.file, this.#tokensOf(text))
    return { number, expert: expert !== baseExpert && isUsable(expert) ? expert : null, probability }
  }

  #tokensOf(text: GateQuestion['text']): readonly number[] {
    if (typeof text !== 'string') return text
    return this.#o.runner.tokenize(text, { parseSpecial: false, addBegin: false })
  }
}
