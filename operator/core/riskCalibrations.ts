/**
 * What a `risk` route's ConfigMap is worth: its harmonizer judged against the deployments that it is to speak of, and the references of its
 * Meta Ranking sources. Pure. One that is missing, bad or for something else is none, with a reason: routers then escalate every answer.
 */
import { calibrationKeys, type CascadeReference } from '#contracts/calibration.ts'
import type { Risk } from '#contracts/resources/modelRoute.ts'
import { labelNames, misfitOf, type RiskPolicy } from '#contracts/riskPolicy.ts'
import { RiskCalibration } from '#contracts/riskCalibration.ts'
import { limits } from '#contracts/limits.ts'
import { type CalibrationSources, missingMap } from './calibrations.ts'
import { readDocument, readReferences } from './calibrationText.ts'

export interface JudgedRisk {
  readonly calibration: RiskPolicy['calibration']
  readonly references: readonly CascadeReference[]
  /** For people; null where the calibration fits. */
  readonly problem: string | null
}

type Misfit = Extract<RiskPolicy['calibration'], { kind: 'none' }>['reason']

export function judgeRisk(risk: Risk, sources: CalibrationSources): JudgedRisk {
  const name = risk.calibration?.configMap
  if (name === undefined)
    return nothing('no-calibration', [], 'no calibration; make one with paceline calibrate risk and name its ConfigMap')
  const data = sources.configMap(name)
  if (data === null) return nothing('no-calibration', [], missingMap(name, 'risk'))
  const references = referencesIn(risk, data)
  const text = data[calibrationKeys.risk]
  if (text === undefined)
    return nothing('no-calibration', references.value, `ConfigMap ${name} has no key ${calibrationKeys.risk}`)
  const read = readDocument(RiskCalibration, text, limits.risk.documentBytesMax)
  if (read.kind === 'problems') {
    const problem = `ConfigMap ${name}, ${calibrationKeys.risk}: ${read.problems.join('; ')}`
    return nothing('no-calibration', references.value, problem)
  }
  const embeddedBy = risk.embedding?.deployment ?? risk.deployment
  const served = (deployment: string) => sources.servedBy(deployment) ?? { embeddings: false }
  const facts = { answers: served(risk.deployment), embeds: served(embeddedBy), labels: labelNames(risk.labels) }
  const misfit = misfitOf(read.value, facts)
  if (misfit !== null) return nothing(misfit, references.value, misfitText(misfit, risk.deployment, embeddedBy))
  const problem = references.problem === null ? null : `ConfigMap ${name}, ${references.problem}`
  return { calibration: { kind: 'made', document: read.value }, references: references.value, problem }
}

const nothing = (reason: Misfit, references: readonly CascadeReference[], problem: string): JudgedRisk => ({
  calibration: { kind: 'none', reason },
  references,
  problem,
})

/** Only where a source asks for them; without them it abstains, and the route says so. */
function referencesIn(risk: Risk, data: Readonly<Record<string, string>>) {
  const asked = risk.sources.some(({ metaRanking }) => metaRanking !== undefined)
  const key = calibrationKeys.references
  if (!asked) return { value: [], problem: null }
  const text = data[key]
  if (text === undefined) return { value: [], problem: `no key ${key}; a metaRanking source then abstains` }
  const read = readReferences(text)
  return read.kind === 'read'
    ? { value: read.value, problem: null }
    : { value: [], problem: `${key}: ${read.problems.join('; ')}; a metaRanking source then abstains` }
}

function misfitText(misfit: Misfit, deployment: string, embeddedBy: string): string {
  switch (misfit) {
    case 'other-model':
      return `the calibration is one of another model than ${deployment} has; calibrate it again`
    case 'other-embedding':
      return `the calibration reads vectors of another model than ${embeddedBy} has; calibrate it again, or embed with that one`
    case 'other-labels':
      return 'the calibration has other labels than the route; calibrate it again'
    case 'no-embeddings':
      return `${embeddedBy} gives no embeddings; set engine.embeddings there, or name another one in embedding.deployment`
    case 'no-calibration':
      return 'no calibration'
    default:
      return misfit satisfies never
  }
}
