/**
 * `paceline calibrate <what>`: makes, once for a model, what helps to serve it. `trigram` builds the tri-gram table, `acceptance` learns what
 * a target takes of its draft's tokens, `cascade` over which score a small model's answers are kept, `gate` which expert a prompt is for,
 * `risk` how likely an answer is wrong.
 */
import { Failure } from '#contracts/failure.ts'
import { calibrateAcceptance } from './calibrate/acceptance.ts'
import { calibrateCascade } from './calibrate/cascade.ts'
import { calibrateGate } from './calibrate/gate.ts'
import { calibrateRisk } from './calibrate/risk.ts'
import { calibrateTrigram } from './calibrate/trigram.ts'
import type { Verb } from './context.ts'

const kinds: Readonly<Record<string, Verb>> = {
  acceptance: calibrateAcceptance,
  cascade: calibrateCascade,
  gate: calibrateGate,
  risk: calibrateRisk,
  trigram: calibrateTrigram,
}

export const calibrate: Verb = async ([kind = '', ...args], context) => {
  const run = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (run !== undefined) return run(args, context)
  throw new Failure('invalid-configuration', `calibrate: name one of ${Object.keys(kinds).join(', ')}, not "${kind}"`)
}
