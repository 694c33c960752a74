/** Experts of a pair on the simulated engine, which needs no adapters, and a real gate for its tokenizer. */
import { createHash } from 'node:crypto'
import { writePreGate } from '#algorithms/preGate/gateFile.ts'
import { trainPreGate, trainingDefaults } from '#algorithms/preGate/train.ts'
import { SimulatedSettings } from '#contracts/resources/modelDeployment.ts'
import { systemClock } from '#runtime/clock.ts'
import { createSimulatedRunner } from '../../../gpu-worker/simulated/simulatedRunner.ts'
import { tokenizerDigest } from '../../../gpu-worker/trigramTableFile.ts'
import type { Place } from './started.ts'

/** What the gate has learned, by expert. */
export const gatedTexts = {
  sql: ['select a from b', 'join two tables'],
  verse: ['a sonnet on spring', 'rhyme me a song'],
} as const

/** For the tokenizer of the simulated engine. */
function simulatedGate(): Uint8Array {
  const shape = { slots: 1, contextTokensMax: 64, kvLayout: 'split', clock: systemClock } as const
  const runner = createSimulatedRunner({ ...SimulatedSettings.parse({}), ...shape })
  const examples = Object.entries(gatedTexts).flatMap(([expert, own]) =>
    own.map((text) => ({ tokens: runner.tokenize(text, { parseSpecial: false, addBegin: false }), expert })),
  )
  const form = { buckets: 1_024, gramMax: 2, tokensMax: 64 }
  const gate = trainPreGate(examples, { ...trainingDefaults, form, seed: 1 })
  return new Uint8Array(writePreGate(gate, tokenizerDigest(runner)))
}

/** `experts` and `gate` of a spec; the gate knows `sql` and `verse`. */
export function simulatedExperts(place: Place, names: readonly string[]) {
  const bytes = simulatedGate()
  const path = place.writeBytes('simulated.gate', bytes)
  const adapter = { source: 'file:///nowhere.gguf', sha256: '0'.repeat(64) }
  return {
    experts: names.map((name) => ({ name, adapter })),
    gate: { file: { source: `file://${path}`, sha256: createHash('sha256').update(bytes).digest('hex') } },
  }
}
