/**
 * Which faults hit which step: drawn from a seeded generator, so that one seed replays one history. Pure but for its own counter.
 */
import type { Fault } from '#contracts/resources/modelDeployment.ts'
import { mix } from './languageModel.ts'

export interface StepFaults {
  readonly crash: boolean
  readonly stallMs: number
  readonly slowFactor: number
  /** `throws`: the step fails; `not-a-number`: it answers with rows of NaN. */
  readonly garbage: 'none' | 'throws' | 'not-a-number'
}

export interface FaultPlan {
  nextStep(): StepFaults
  /** Drawn per request. */
  nextRefusal(): boolean
}

const noFaults: StepFaults = { crash: false, stallMs: 0, slowFactor: 1, garbage: 'none' }

export function planFaults(faults: readonly Fault[], seed: number): FaultPlan {
  const stepFaults = faults.filter((fault) => fault.kind !== 'refuse')
  const refusals = faults.filter((fault) => fault.kind === 'refuse')
  const nextStep = uniform(mix(seed, 0x57e9))
  const nextRequest = uniform(mix(seed, 0x4ef5))
  return {
    nextStep: () => (stepFaults.length === 0 ? noFaults : stepFaults.reduce(drawInto(nextStep), noFaults)),
    nextRefusal: () => refusals.some((fault) => nextRequest() < fault.probability),
  }
}

/** Two numbers are drawn for each fault whether it hits or not: a changed probability then moves no other draw. */
function drawInto(next: () => number): (step: StepFaults, fault: Fault) => StepFaults {
  return (step, fault) => {
    const hit = next() < fault.probability
    const variant = next()
    return hit ? withFault(step, fault, variant) : step
  }
}

function withFault(step: StepFaults, fault: Fault, variant: number): StepFaults {
  switch (fault.kind) {
    case 'crash':
      return { ...step, crash: true }
    case 'stall':
      return { ...step, stallMs: step.stallMs + fault.amount }
    case 'slow':
      return { ...step, slowFactor: step.slowFactor * fault.amount }
    case 'garbage':
      return { ...step, garbage: variant < 0.5 ? 'throws' : 'not-a-number' }
    case 'refuse':
      return step
    default:
      return fault.kind satisfies never
  }
}

/** Numbers in [0, 1), the same for the same seed. */
export function uniform(seed: number): () => number {
  let drawn = 0
  return () => mix(seed, ++drawn) / 0x1_0000_0000
}
